import { Fault } from '../../ops/base/fault.ts';
import type { Instruments, MetricLabels } from '../../ops/base/instruments.ts';
import { within } from '../../ops/base/within.ts';
import type { World } from '../../ops/base/world.ts';
import { frameBytes } from '../../topology/transport/frames.ts';
import type { Address, Message, RequestContext, Service, Transport } from '../../topology/transport/transport.ts';
import type { Supervised } from './child.ts';
import type { AskContext, MailboxPolicy, RestartPolicy, StartContext, StopReason } from './define.ts';
import { ActiveIncarnation } from './incarnation.ts';
import type { KernelMetrics } from './kernel-metrics.ts';
import type { StopOrder } from './lifecycle.ts';
import { LiveAsk } from './live-ask.ts';
import { Mailbox, type MailboxObserver } from './mailbox.ts';

/** A definition and its deps, without their types: which handler takes which ask was checked where the handlers were written. */
export interface CellParts {
  readonly component: string;
  readonly instance: string;
  readonly mailbox: MailboxPolicy;
  readonly restart: RestartPolicy;
  readonly start: (context: StartContext) => Promise<ErasedRunning>;
  readonly world: World;
  readonly instruments: Instruments;
  readonly metrics: KernelMetrics;
  readonly transport: Transport;
}

type ErasedHandler = (ask: unknown, context: AskContext) => Promise<unknown> | AsyncIterable<unknown>;

export interface ErasedRunning {
  readonly handlers: Readonly<Record<string, ErasedHandler>>;
  observe(): Record<string, unknown>;
  stop(reason: StopReason): Promise<void>;
}

/** One start, and what it holds. */
interface Life {
  readonly incarnation: ActiveIncarnation;
  /** Settles when the definition's start does. */
  readonly started: Promise<ErasedRunning>;
  readonly mailbox: Mailbox;
}

/** An actor's fixed place: its address is served for as long as the actor is spawned; its incarnations, each with a mailbox of its own, come and go behind it. */
export class Cell implements Supervised {
  readonly address: Address;
  readonly restart: RestartPolicy;
  readonly #parts: CellParts;
  readonly #service: Service;
  readonly #labels: MetricLabels;
  readonly #observer: MailboxObserver;
  #epoch = 0;
  #life: Life | undefined;
  /** Set while asks are answered. */
  #handlers: ReadonlyMap<string, ErasedHandler> | undefined;
  #observe: (() => Record<string, unknown>) | undefined;

  /** Throws Fault exists if the address is served. */
  constructor(parts: CellParts) {
    const { component, instance, transport } = parts;
    this.#parts = parts;
    this.address = `${component}/${instance}`;
    this.restart = parts.restart;
    this.#labels = { component, instance };
    this.#observer = observer(parts, this.#labels);
    this.#service = transport.serve(this.address, (message, request) => this.#take(message, request));
    this.#service.setAvailable(false);
  }

  get epoch(): number {
    return this.#epoch;
  }

  get mailbox(): { readonly messages: number; readonly bytes: number } {
    const { messages = 0, bytes = 0 } = this.#life?.mailbox ?? {};
    return { messages, bytes };
  }

  /** What the actor shows of itself; nothing while it is not running. */
  observe(): Record<string, unknown> {
    return this.#observe?.() ?? {};
  }

  async start(fail: (error: unknown) => void): Promise<void> {
    const { start, mailbox, world, instruments, metrics, instance } = this.#parts;
    const incarnation = new ActiveIncarnation(this.address, ++this.#epoch, fail);
    let isTaking = true;
    const takesAny = (takes: boolean): void => {
      isTaking = takes;
      if (this.#handlers !== undefined && !incarnation.signal.aborted) this.#service.setAvailable(takes);
    };
    if (this.#epoch > 1) metrics.restarts.add(1, this.#labels);
    const life: Life = {
      incarnation,
      started: start({ world, instruments, incarnation, instance, takesAny }),
      mailbox: new Mailbox(mailbox, world.clock, this.#observer),
    };
    this.#life = life;
    const running = await life.started;
    if (incarnation.signal.aborted) return; // stopped meanwhile; `stop` waits for this start
    this.#handlers = new Map(Object.entries(running.handlers));
    this.#observe = () => running.observe();
    this.#service.setAvailable(isTaking);
  }

  async stop(order: StopOrder): Promise<void> {
    this.#handlers = undefined;
    this.#service.setAvailable(false);
    const life = this.#life;
    if (life === undefined) return;
    const { incarnation, mailbox, started } = life;
    mailbox.close(this.#unavailable());
    if (order.reason !== 'restart') await this.#drain(mailbox, order.drainUntilMs);
    mailbox.abandon(this.#unavailable());
    incarnation.beginEnd();
    try {
      const running = await started.catch(() => undefined); // a start that failed was reported by `start`
      this.#observe = undefined;
      await running?.stop(order.reason);
    } catch (error) {
      this.#parts.instruments.log.error('actor did not stop cleanly', { actor: this.address, error });
    } finally {
      incarnation.end();
    }
    await incarnation.whenDrained();
    if (this.#life === life) this.#life = undefined;
  }

  abandon(): void {
    this.#life?.incarnation.end();
    this.#life?.mailbox.abandon(this.#unavailable());
  }

  /** Gives up the address. */
  close(): void {
    this.#service.close();
  }

  /** Sets the gauges. */
  sample(): void {
    const { metrics } = this.#parts;
    const { messages, bytes } = this.mailbox;
    metrics.mailboxMessages.set(messages, this.#labels);
    metrics.mailboxBytes.set(bytes, this.#labels);
  }

  #take(message: Message, request: RequestContext): Promise<unknown> {
    const handlers = this.#handlers;
    if (handlers === undefined) return Promise.reject(this.#unavailable());
    const handler = handlers.get(message.kind);
    if (handler === undefined) return Promise.reject(new Fault('unsupported', `${this.address} does not know ${message.kind}`));
    const ask = new LiveAsk(message, request);
    return this.#life!.mailbox.deliver({
      kind: message.kind,
      ask,
      bytes: frameBytes(message.body),
      handle: () => handler(message.body, ask),
    });
  }

  #unavailable(): Fault {
    return new Fault('unavailable', `${this.address} is not running`, { retryAfterS: 1 });
  }

  async #drain(mailbox: Mailbox, untilMs: number): Promise<void> {
    const { clock, timers } = this.#parts.world;
    await within(timers, Math.max(0, untilMs - clock.monotonicMs()), mailbox.whenIdle());
  }
}

/** Labels are made once per kind, so that whoever records can know them again by identity. */
function observer({ component, metrics, instruments }: CellParts, actor: MetricLabels): MailboxObserver {
  const byKind = new Map<string, MetricLabels>();
  return {
    refused: () => metrics.refused.add(1, actor),
    handled: (kind, ms, error) => {
      let labels = byKind.get(kind);
      if (labels === undefined) {
        labels = { component, kind };
        byKind.set(kind, labels);
      }
      metrics.handledSeconds.observe(ms / 1_000, labels);
      if (error !== undefined && !(error instanceof Fault)) instruments.log.error('handler has a bug', { ...actor, kind, error });
    },
  };
}
