import { connectNats, type NatsOptions } from '../../topology/nats/connect.ts';
import { type NatsServicesDeps, serveNats } from './services.ts';

/** Services for NATS clients, over a connection of their own. */
export interface NatsClients {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Connects, however long that takes. Rejects if NATS refuses. */
export async function connectClients(nats: NatsOptions, deps: Omit<NatsServicesDeps, 'connection'>): Promise<NatsClients> {
  const broker = await connectNats(nats, 'millrace services', deps.instruments);
  let stopServing: (() => Promise<void>) | undefined;
  return {
    start: async () => {
      stopServing = await serveNats({ ...deps, connection: broker.connection });
    },
    stop: async () => {
      await stopServing?.();
      await broker.close();
    },
  };
}
