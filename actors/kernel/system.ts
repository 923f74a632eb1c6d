import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Address, Message, Transport } from '../../topology/transport/transport.ts';
import { Cell, type ErasedRunning } from './cell.ts';
import type { Child } from './child.ts';
import type { ActorDefinition, AskOptions, Messenger, Protocol, StartContext, StopReason, StreamOf } from './define.ts';
import { type KernelMetrics, kernelMetrics } from './kernel-metrics.ts';
import type { LifecycleState } from './lifecycle.ts';
import { Supervisor } from './supervisor.ts';

export interface ActorSystemOptions {
  readonly world: World;
  readonly transport: Transport;
  readonly instruments: Instruments;
  /** An actor of this system failed too often, or did not end: the process (or thread) is to end with a non-zero code. */
  readonly onFailed: (address: Address, error: unknown) => void;
  /** On shutdown, asks being handled get this long to end, all actors together. */
  readonly drainMs?: number;
  /** An incarnation that takes longer to end, apart from draining, is given up. */
  readonly stopTimeoutMs?: number;
}

export interface ActorHandle {
  readonly address: Address;
  readonly state: LifecycleState;
  /** Ends the actor for good. Rejects if it did not end in time; `drained` has all the time it wants. */
  stop(reason: StopReason): Promise<void>;
}

/** One actor, as the console shows it. */
export interface ActorView {
  readonly address: Address;
  readonly state: LifecycleState;
  readonly epoch: number;
  readonly restarts: number;
  readonly mailbox: { readonly messages: number; readonly bytes: number };
  /** The actor's own observe(). */
  readonly detail: Record<string, unknown>;
}

interface Spawned {
  readonly cell: Cell;
  readonly child: Child;
}

const SAMPLE_MS = 5_000;

/** The actors of one thread, in the order in which they build on each other, and the way to all others. */
export class ActorSystem implements Messenger {
  readonly #options: ActorSystemOptions;
  readonly #metrics: KernelMetrics;
  readonly #supervisor: Supervisor;
  readonly #spawned: Spawned[] = [];
  readonly #drainMs: number;
  #cancelSample: (() => void) | undefined;
  #stopping = false;

  constructor(options: ActorSystemOptions) {
    const { world, instruments, onFailed, drainMs = 3_000, stopTimeoutMs = 10_000 } = options;
    this.#options = options;
    this.#drainMs = drainMs;
    this.#metrics = kernelMetrics(instruments);
    this.#supervisor = new Supervisor({ world, log: instruments.log, stopTimeoutMs, onFailed });
  }

  /** Starts an actor and serves it as `<name>/<instance>`. Resolves once it runs; rejects with its last failure if it is given up or stopped
   *  before, and with Fault exists if the address is taken. */
  async spawn<A extends { kind: string }, R extends Record<A['kind'], unknown>, D>(
    definition: ActorDefinition<A, R, D>,
    deps: D,
    { instance }: { instance: string },
  ): Promise<ActorHandle> {
    if (this.#stopping) throw new Fault('unavailable', 'actor system is stopping');
    const { world, instruments, transport } = this.#options;
    const { name: component, mailbox, restart } = definition;
    const start = async (context: StartContext) => (await definition.start(deps, context)) as ErasedRunning;
    const cell = new Cell({ component, instance, mailbox, restart, start, world, instruments, transport, metrics: this.#metrics });
    const child = this.#supervisor.adopt(cell);
    const spawned: Spawned = { cell, child };
    this.#spawned.push(spawned);
    if (this.#cancelSample === undefined) this.#sampleLater();
    await child.whenRunning();
    return {
      address: cell.address,
      get state() {
        return child.state;
      },
      stop: (reason) => this.#stop(spawned, reason, this.#drainUntilMs()),
    };
  }

  ask<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: Extract<A, { kind: K }> & { kind: K },
    options: AskOptions,
  ): Promise<R[K]> {
    return this.#options.transport.request(`${protocol.component}/${instance}`, toMessage(ask, options), options) as Promise<R[K]>;
  }

  stream<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: Extract<A, { kind: K }> & { kind: K },
    options: AskOptions,
  ): AsyncIterable<R[K] extends StreamOf<infer Item> ? Item : never> {
    const answers = this.#options.transport.requestMany(`${protocol.component}/${instance}`, toMessage(ask, options), options);
    return answers as AsyncIterable<R[K] extends StreamOf<infer Item> ? Item : never>;
  }

  tell<A extends { kind: string }, R extends Record<A['kind'], unknown>, K extends A['kind']>(
    protocol: Protocol<A, R>,
    instance: string,
    ask: Extract<A, { kind: K }> & { kind: K },
    options: AskOptions,
  ): void {
    this.ask(protocol, instance, ask, options).catch((error) => {
      const { code, message } = asFault(error);
      this.#options.instruments.log.warn('message was not taken', {
        to: `${protocol.component}/${instance}`,
        kind: ask.kind,
        code,
        message,
      });
    });
  }

  /** In the order of spawning. */
  observe(): ActorView[] {
    return this.#spawned.map(({ cell, child }) => ({
      address: cell.address,
      state: child.state,
      epoch: cell.epoch,
      restarts: Math.max(0, cell.epoch - 1),
      mailbox: cell.mailbox,
      detail: cell.observe(),
    }));
  }

  /** Stops all actors, the last spawned first. Rejects, after all were told, with the fault of the first that did not end in time. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelSample?.();
    const drainUntilMs = this.#drainUntilMs();
    let stuck: unknown;
    for (const spawned of this.#spawned.toReversed()) {
      await this.#stop(spawned, 'shutdown', drainUntilMs).catch((error) => {
        stuck ??= error;
      });
    }
    if (stuck !== undefined) throw stuck;
  }

  async #stop(spawned: Spawned, reason: StopReason, drainUntilMs: number): Promise<void> {
    try {
      await this.#supervisor.stop(spawned.child, { reason, drainUntilMs });
    } finally {
      spawned.cell.close();
      const at = this.#spawned.indexOf(spawned);
      if (at >= 0) this.#spawned.splice(at, 1);
    }
  }

  #drainUntilMs(): number {
    return this.#options.world.clock.monotonicMs() + this.#drainMs;
  }

  #sampleLater(): void {
    this.#cancelSample = this.#options.world.timers.after(SAMPLE_MS, () => {
      for (const { cell } of this.#spawned) cell.sample();
      this.#sampleLater();
    });
  }
}

function toMessage(ask: { kind: string }, { tenant, trace = '' }: AskOptions): Message {
  return { kind: ask.kind, tenant, trace, body: ask };
}
