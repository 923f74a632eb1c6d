import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { connectNats, type NatsBroker } from '../../../topology/nats/connect.ts';
import { NatsTransport } from '../../../topology/transport/nats.ts';

/** A peer that finds out soon when another is gone. */
export const VIGILANCE = { pingMs: 200, missed: 3 };

export interface OpenedNats {
  readonly transport: NatsTransport;
  readonly brokers: readonly NatsBroker[];
  close(): Promise<void>;
}

export async function openNatsTransport(url: string, cluster: string, vigilance = VIGILANCE): Promise<OpenedNats> {
  const [control, bulk] = await Promise.all(['control', 'bulk'].map((name) => connectNats({ servers: [url] }, name, noInstruments)));
  const transport = new NatsTransport({ world: realWorld(), cluster, control, bulk, vigilance });
  return {
    transport,
    brokers: [control, bulk],
    close: async () => {
      await transport.close();
      await Promise.all([control.close(), bulk.close()]);
    },
  };
}
