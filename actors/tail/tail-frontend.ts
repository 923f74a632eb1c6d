import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Counter, Gauge, Instruments } from '../../ops/base/instruments.ts';
import { type AskContext, defineActor, type Handlers, type Messenger, type StartContext } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import { type TailFrontendAsk, type TailFrontendReply, type TailMessage, tailFrontendProtocol } from '../protocol/tail.ts';
import { TailSession } from './tail-session.ts';
import type { Tailers } from './tailers.ts';

export interface TailFrontendDeps {
  readonly messenger: Messenger;
  /** Among whom a tail is divided. */
  readonly tailers: Tailers;
  readonly maxDurationMs: number;
  readonly limits: (tenant: string) => Pick<TenantLimits, 'maxConcurrentTailRequests' | 'creationGracePeriod'>;
}

/** Serves tails: within the tenant's limit, one session each. */
export const tailFrontend = defineActor<TailFrontendAsk, TailFrontendReply, TailFrontendDeps>({
  name: tailFrontendProtocol.component,
  mailbox: { messages: 512, bytes: MiB, concurrency: 512, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, context) {
    const tails = new RunningTails(deps, context);
    const handlers: Handlers<TailFrontendAsk, TailFrontendReply> = { tail: (ask, asked) => tails.run(ask, asked) };
    return { handlers, observe: () => ({ tails: tails.count }), stop: async () => {} };
  },
});

class RunningTails {
  readonly #deps: TailFrontendDeps;
  readonly #start: StartContext;
  readonly #metrics: TailMetrics;
  readonly #byTenant = new Map<string, number>();

  constructor(deps: TailFrontendDeps, start: StartContext) {
    this.#deps = deps;
    this.#start = start;
    this.#metrics = tailMetrics(start.instruments);
    this.#metrics.active.set(0);
  }

  get count(): number {
    let count = 0;
    for (const running of this.#byTenant.values()) count += running;
    return count;
  }

  async *run(ask: TailFrontendAsk, asked: AskContext): AsyncGenerator<TailMessage> {
    const { tenant } = asked;
    const { maxConcurrentTailRequests: most, creationGracePeriod } = this.#deps.limits(tenant);
    const running = this.#byTenant.get(tenant) ?? 0;
    if (running >= most) {
      throw new Fault('limit_exceeded', `max concurrent tail requests limit exceeded, count > limit (${running + 1} > ${most})`);
    }
    this.#change(tenant, 1);
    const { dropped: droppedEntries } = this.#metrics;
    const session = new TailSession(ask, asked, { ...this.#deps, world: this.#start.world, aheadMs: creationGracePeriod, droppedEntries });
    try {
      for await (const message of session.messages()) {
        this.#metrics.bytes.add(message.body.length);
        yield message;
      }
    } finally {
      this.#change(tenant, -1);
    }
  }

  #change(tenant: string, by: number): void {
    const running = (this.#byTenant.get(tenant) ?? 0) + by;
    if (running === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, running);
    this.#metrics.active.set(this.count);
  }
}

interface TailMetrics {
  readonly active: Gauge;
  readonly bytes: Counter;
  readonly dropped: Counter;
}

function tailMetrics(instruments: Instruments): TailMetrics {
  return {
    active: instruments.gauge('loki_querier_tail_active', 'Tails that are running.'),
    bytes: instruments.counter('loki_querier_tail_bytes_total', 'Bytes of the messages of tails.'),
    dropped: instruments.counter('millrace_tail_dropped_entries_total', 'Entries that clients of tails were too slow for.'),
  };
}
