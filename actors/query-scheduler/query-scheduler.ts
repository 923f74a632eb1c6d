import { MiB } from '../../ops/base/bytes.ts';
import { type AskContext, defineActor, type Handlers } from '../kernel/define.ts';
import { type Lease, type SchedulerAsk, type SchedulerReply, schedulerProtocol } from '../protocol/schedule.ts';
import { LeaseQueue } from './lease-queue.ts';

const WAIT_BUCKETS_S = [0.001, 0.01, 0.1, 0.5, 1, 5, 25];

/** Which querier does a job, and when. Jobs and their results do not come here: a frontend is told whom to ask. */
export const queryScheduler = defineActor<SchedulerAsk, SchedulerReply, null>({
  name: schedulerProtocol.component,
  // A lease is an ask until the job is done. How many queries a tenant may have is limited at the door.
  mailbox: { messages: 262_144, bytes: 64 * MiB, concurrency: 262_144, whenFull: 'refuse', endless: ['attach'] },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(_, { world, instruments, takesAny }) {
    const length = instruments.gauge('loki_query_scheduler_queue_length', 'Jobs that wait for a querier.', ['user']);
    const clients = instruments.gauge('loki_query_scheduler_connected_querier_clients', 'Queriers that take jobs.');
    const inflight = instruments.gauge('loki_query_scheduler_inflight_requests', 'Jobs that wait for a querier or are at one.');
    const waits = instruments.histogram('loki_query_scheduler_queue_duration_seconds', 'How long jobs waited.', WAIT_BUCKETS_S);
    const queue = new LeaseQueue((user, waiting) => {
      if (waiting === 0) length.remove({ user });
      else length.set(waiting, { user });
    });

    // One that nobody has attached to yet, or whose queriers are gone, leaves leases to others.
    const counted = (): void => {
      clients.set(queue.queriers.length);
      takesAny(queue.queriers.length > 0);
    };
    counted();
    let jobs = 0;

    async function* attach(querier: string, slots: number, { signal }: AskContext): AsyncGenerator<Record<string, never>> {
      const detach = queue.attach(querier, slots);
      counted();
      try {
        yield {};
        await left(signal);
      } finally {
        detach();
        counted();
      }
    }

    async function* lease(
      { preferred, avoided }: Omit<SchedulerAsk & { kind: 'lease' }, 'kind'>,
      asked: AskContext,
    ): AsyncGenerator<Lease> {
      const beganMs = world.clock.monotonicMs();
      inflight.set(++jobs);
      try {
        const { querier, release } = await queue.lease({ tenant: asked.tenant, preferred, avoided }, asked.signal);
        try {
          waits.observe((world.clock.monotonicMs() - beganMs) / 1_000);
          yield { querier };
          await left(asked.signal);
        } finally {
          release();
        }
      } finally {
        inflight.set(--jobs);
      }
    }

    const handlers: Handlers<SchedulerAsk, SchedulerReply> = {
      attach: ({ querier, slots }, asked) => attach(querier, slots, asked),
      queriers: async () => ({ queriers: queue.queriers }),
      lease: (ask, asked) => lease(ask, asked),
    };
    return { handlers, observe: () => ({ queriers: queue.queriers.length, running: queue.running }), stop: async () => {} };
  },
});

/** Resolves when whoever reads the stream is gone. */
function left(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
