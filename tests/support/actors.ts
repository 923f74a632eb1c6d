import { defineActor, protocol, type RestartPolicy, type Running, type StartContext, type StreamOf } from '../../actors/kernel/define.ts';
import { ActorSystem } from '../../actors/kernel/system.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { InProcessTransport } from '../../topology/transport/in-process.ts';

export type EchoAsk =
  | { kind: 'echo'; value: unknown }
  | { kind: 'hang'; parts?: Uint8Array[] }
  | { kind: 'crash' }
  | { kind: 'count'; to: number }
  | { kind: 'context' };
export type EchoReply = {
  echo: { epoch: number; value: unknown };
  hang: undefined;
  crash: undefined;
  count: StreamOf<number>;
  context: { tenant: string; trace: string; deadlineMs: number };
};
export const echoProtocol = protocol<EchoAsk, EchoReply>('echo');

/** What a test may do around an actor's life. */
export interface EchoDeps {
  started?: (context: StartContext) => Promise<void> | void;
  stopped?: (reason: string) => Promise<void> | void;
}

export const RESTART: RestartPolicy = { strategy: 'one_for_one', max: 3, withinMs: 60_000, backoffMs: { min: 100, max: 1_000 } };

/** An actor that answers, hangs, crashes and counts on demand. */
export const echo = (name = 'echo', restart: Partial<RestartPolicy> = {}) =>
  defineActor<EchoAsk, EchoReply, EchoDeps>({
    name,
    mailbox: { messages: 4, bytes: 1_000, concurrency: 2, whenFull: 'refuse' },
    restart: { ...RESTART, ...restart },
    async start({ started, stopped }, context): Promise<Running<EchoAsk, EchoReply>> {
      await started?.(context);
      const { epoch } = context.incarnation;
      return {
        handlers: {
          echo: async ({ value }) => ({ epoch, value }),
          hang: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
          crash: async () => {
            throw new TypeError('a bug');
          },
          count: async function* ({ to }) {
            for (let number = 1; number <= to; number++) yield number;
          },
          context: async (_, { tenant, trace, deadlineMs }) => ({ tenant, trace, deadlineMs }),
        },
        observe: () => ({ epoch }),
        stop: async (reason) => stopped?.(reason),
      };
    },
  });

/** A system in a fake world, over the strict transport. */
export function actorSystem({ instruments = noInstruments, drainMs = 1_000 }: { instruments?: Instruments; drainMs?: number } = {}) {
  const world = fakeWorld(1);
  const transport = new InProcessTransport({ world, strict: true });
  const failed: [address: string, error: unknown][] = [];
  const onFailed = (address: string, error: unknown) => failed.push([address, error]);
  const system = new ActorSystem({ world, transport, instruments, onFailed, drainMs, stopTimeoutMs: 5_000 });
  const options = { tenant: 'tenant-a', deadlineMs: Number.POSITIVE_INFINITY };
  const echoed = (instance: string, value: unknown = 1) => system.ask(echoProtocol, instance, { kind: 'echo', value }, options);
  const state = (address: string) => system.observe().find((actor) => actor.address === address)?.state;
  return { world, transport, system, failed, options, echoed, state };
}
