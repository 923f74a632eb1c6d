import { type Actor, createActor, fromPromise } from 'xstate';
import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { RestartPolicy } from './define.ts';
import { type LifecycleState, lifecycle, type StopOrder } from './lifecycle.ts';

/** What a supervisor starts, stops and starts again. */
export interface Supervised {
  readonly address: string;
  readonly restart: RestartPolicy;
  /** A new incarnation, which tells its failures to `fail`. Resolves once it runs. */
  start(fail: (error: unknown) => void): Promise<void>;
  /** Ends the incarnation, also one that is still starting or failed to. Resolves once none of its effects is under way. */
  stop(order: StopOrder): Promise<void>;
  /** `stop` did not resolve in time: from here on the incarnation's effects are refused. */
  abandon(): void;
}

export interface ChildOptions {
  readonly world: World;
  readonly log: Logger;
  /** An incarnation that has not ended after this is abandoned. Nothing can be started in its place, since JavaScript cannot kill it: its thread has to end. */
  readonly stopTimeoutMs: number;
  /** The actor failed too often, or did not end: whoever owns the thread has to end it. */
  readonly onFailed: (address: string, error: unknown) => void;
}

/** What a child needs of the supervisor. */
export interface ChildHost {
  changed(): void;
  failed(): void;
  /** Resolves once the others are where they have to be for this child to start again. */
  mayStart(signal: AbortSignal): Promise<void>;
  /** Resolves once `condition`, on the states of children, holds. */
  until(condition: () => boolean): Promise<void>;
}

/** A supervised actor and its place among the others. */
export class Child {
  readonly subject: Supervised;
  /** The child of rest_for_one whose failure made this one restart: it and all between start first. */
  yieldedTo: Child | undefined;
  /** Those after this one are to stop before it starts again. */
  waitsForFollowers = false;
  readonly #options: ChildOptions;
  readonly #host: ChildHost;
  readonly #machine: Actor<typeof lifecycle>;
  #stuck: Fault | undefined;

  constructor(subject: Supervised, options: ChildOptions, host: ChildHost) {
    this.subject = subject;
    this.#options = options;
    this.#host = host;
    const machine = lifecycle.provide({
      actors: {
        start: fromPromise(({ signal }) => this.#start(signal)),
        stop: fromPromise(({ input }) => this.#stop(input)),
        backOff: fromPromise(async ({ input, signal }) => {
          await options.world.timers.sleep(input, signal);
          await host.mayStart(signal);
        }),
      },
    });
    this.#machine = createActor(machine, { input: { policy: subject.restart, world: options.world } });
    this.#machine.subscribe(({ value, context }) => {
      if (value === 'failed' && context.order === undefined) {
        options.log.error('actor is given up', { actor: subject.address, error: context.error });
        options.onFailed(subject.address, context.error);
      }
      host.changed();
    });
  }

  get state(): LifecycleState {
    return this.#machine.getSnapshot().value;
  }

  /** Whether an incarnation may still have effects. */
  get holdsAnything(): boolean {
    return this.state === 'starting' || this.state === 'running' || this.state === 'stopping';
  }

  begin(): void {
    this.#machine.start();
  }

  /** Resolves once it runs; rejects with its last failure if it is given up, or stopped, before. */
  async whenRunning(): Promise<void> {
    await this.#host.until(() => this.state === 'running' || this.#isOver);
    if (this.state === 'running') return;
    const { error } = this.#machine.getSnapshot().context;
    throw error === undefined ? new Fault('unavailable', `${this.subject.address} was stopped`) : asFault(error);
  }

  /** Ends it for good. Rejects if an incarnation did not end in time, now or before. */
  async stop(order: StopOrder): Promise<void> {
    this.#machine.send({ type: 'STOP', order });
    await this.#host.until(() => this.#isOver);
    if (this.#stuck !== undefined) throw this.#stuck;
  }

  /** `failed` is restarting, and this child builds on it. */
  yieldTo(failed: Child, isBefore: (a: Child, b: Child) => boolean): void {
    if (this.yieldedTo === undefined || isBefore(failed, this.yieldedTo)) this.yieldedTo = failed;
  }

  restart(): void {
    this.#machine.send({ type: 'YIELD' });
  }

  get #isOver(): boolean {
    return this.state === 'stopped' || this.state === 'failed';
  }

  async #start(left: AbortSignal): Promise<void> {
    this.yieldedTo = undefined;
    this.waitsForFollowers = false;
    const fail = (error: unknown): void => {
      if (this.state !== 'starting' && this.state !== 'running') return;
      this.#machine.send({ type: 'FAIL', error });
      this.#failed(error);
    };
    try {
      await this.subject.start(fail);
    } catch (error) {
      if (!left.aborted) this.#failed(error);
      throw error;
    }
  }

  #failed(error: unknown): void {
    this.#options.log.warn('actor failed', { actor: this.subject.address, error });
    this.#host.failed();
  }

  async #stop(order: StopOrder): Promise<void> {
    if (order.reason === 'drained') return this.subject.stop(order);
    const { world, stopTimeoutMs } = this.#options;
    const late = Promise.withResolvers<void>();
    const withinMs = Math.max(0, order.drainUntilMs - world.clock.monotonicMs()) + stopTimeoutMs;
    const cancel = world.timers.after(withinMs, () => {
      this.#stuck = new Fault('unavailable', `${this.subject.address} did not stop within ${withinMs} ms`);
      this.subject.abandon();
      late.reject(this.#stuck);
    });
    await Promise.race([this.subject.stop(order), late.promise]).finally(cancel);
  }
}
