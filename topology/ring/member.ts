import { type Actor, createActor, fromPromise } from 'xstate';
import { Fault } from '../../ops/base/fault.ts';
import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { type Instance, type InstanceState, instanceKey, readInstance } from './instance.ts';
import type { Kv } from './kv.ts';
import { type MemberEvent, memberLifecycle } from './lifecycle.ts';
import { claimTokens, tokensOf } from './tokens.ts';

export type MemberState = InstanceState | 'STOPPING' | 'LEFT' | 'STOPPED' | 'REPLACED';

/** What an instance has to do on its way, in the component that it is one of. Each effect ends when its signal is aborted. */
export interface MemberWork {
  /** Waits until all who are there have heard of this registration of it. Absent: it does not matter. */
  introduce?(registration: string, signal: AbortSignal): Promise<void>;
  /** Before it counts as active. */
  catchUp(signal: AbortSignal): Promise<void>;
  /** Gives what it has to another instance. Rejects if none takes it. */
  handOver(signal: AbortSignal): Promise<void>;
  /** Puts what it has into object storage. */
  flush(signal: AbortSignal): Promise<void>;
}

export interface MemberOptions {
  readonly kv: Kv;
  readonly world: World;
  readonly log: Logger;
  readonly work: MemberWork;
  readonly id: string;
  /** Of this start. */
  readonly incarnation: string;
  readonly zone: string;
  readonly shards: number;
  readonly url: string;
  /** 0: in a ring that nothing is placed by. */
  readonly tokenCount: number;
  readonly heartbeatMs: number;
  /** Heartbeats that do not land for half of it are told of as lost. */
  readonly heartbeatTimeoutMs: number;
  /** Partitions of the ingest topic that it reads, to be told with each heartbeat. */
  readonly partitions?: () => readonly number[];
  /** Called with every state that it comes to. */
  readonly onState?: (state: MemberState) => void;
  /** Called with every event that the machine is given, and the state that it is in then, as `LEAVING.flushing`. */
  readonly onEvent?: (event: string, state: string) => void;
}

/** Of the protocols between processes. */
export const PROTOCOL_VERSION = 1;

const RETRY_MS = 500;

/** This process's part in a ring: it tells the others who it is, by heartbeats, and goes through the lifecycle. Its tokens stay its own over a restart. */
export class Member {
  readonly #options: MemberOptions;
  readonly #machine: Actor<typeof memberLifecycle>;
  readonly #ended = new AbortController();
  readonly #registeredMs: number;
  /** Of its key, as it was last written or read; 0: it is not there, as far as is known. */
  #revision = 0;
  #beat = 0;
  #landedMs: number;
  #state: MemberState | undefined;
  #wake: (() => void) | undefined;
  /** There is a state that was not written yet. */
  #isDue = true;
  #written: InstanceState | undefined;
  readonly #registered = Promise.withResolvers<void>();
  /** Since its key was made, which may have been an earlier start of it. */
  #isIntroduced = false;
  #registration: string;
  #writing: Promise<void> = Promise.resolve();
  /** Its key is being removed: a heartbeat would make it anew. */
  #isGoing = false;
  #loop: Promise<void> | undefined;

  constructor(options: MemberOptions) {
    const { world, work } = options;
    this.#options = options;
    this.#registration = world.random.id();
    this.#registeredMs = Math.floor(world.clock.nowMs());
    this.#landedMs = world.clock.monotonicMs();
    const machine = memberLifecycle.provide({
      actors: {
        claimTokens: fromPromise(async ({ signal }) => {
          if (options.tokenCount > 0) await this.#persistent(signal, () => claimTokens(options.kv, options.id, () => this.#newTokens()));
        }),
        introduce: fromPromise(({ signal }) => this.#introduce(signal)),
        catchUp: fromPromise(({ signal }) => work.catchUp(signal)),
        handOver: fromPromise(({ signal }) => work.handOver(signal)),
        flush: fromPromise(({ signal }) => this.#persistent(signal, () => work.flush(signal))),
        leave: fromPromise(({ signal }) => this.#persistent(signal, () => this.#leave())),
        sayStopped: fromPromise(() => this.#write('UNHEALTHY')),
      },
    });
    const { onEvent } = options;
    this.#machine = createActor(machine, {
      ...(onEvent && {
        inspect: (seen) => {
          if (seen.type !== '@xstate.snapshot' || seen.actorRef !== this.#machine) return;
          const { value } = this.#machine.getSnapshot();
          onEvent(seen.event.type, typeof value === 'string' ? value : Object.entries(value).flat().join('.'));
        },
      }),
    });
    this.#machine.subscribe(() => this.#stateChanged());
  }

  get state(): MemberState {
    const { value } = this.#machine.getSnapshot();
    return (typeof value === 'string' ? value : Object.keys(value)[0]) as MemberState;
  }

  /** Why the last thing that failed did. */
  get error(): unknown {
    return this.#machine.getSnapshot().context.error;
  }

  start(): void {
    this.#machine.start();
    this.#loop = this.#heartbeats();
  }

  /** Resolves when it is in one of the states; rejects if it comes to an end that is not among them, or when the signal is aborted. */
  async reaches(states: readonly MemberState[], signal?: AbortSignal): Promise<void> {
    if (states.includes(this.state)) return;
    const reached = Promise.withResolvers<void>();
    const subscription = this.#machine.subscribe(() => {
      if (states.includes(this.state)) reached.resolve();
      else if (this.#isOver) reached.reject(new Fault('unavailable', `instance ${this.#options.id} is ${this.state}`));
    });
    const stop = (): void => reached.reject(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await reached.promise;
    } finally {
      subscription.unsubscribe();
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Leaves the ring for good: resolves once everything that it had is with others or in object storage. */
  async drain(): Promise<void> {
    this.#machine.send({ type: 'DRAIN' });
    await this.reaches(['LEFT']);
    await this.#loop;
  }

  /** Tells the others that it is away for a while. It keeps its tokens. */
  async stop(): Promise<void> {
    this.#send({ type: 'STOP' });
    if (!this.#isOver) await this.reaches(['STOPPED', 'LEFT', 'REPLACED']);
    this.#ended.abort(new Fault('cancelled', 'the instance has stopped'));
    await this.#loop;
  }

  get #isOver(): boolean {
    return this.state === 'LEFT' || this.state === 'STOPPED' || this.state === 'REPLACED';
  }

  #stateChanged(): void {
    const { state } = this;
    if (state === this.#state) return;
    this.#state = state;
    if (this.#isOver) this.#ended.abort(new Fault('cancelled', `the instance is ${state}`));
    else {
      this.#isDue = true;
      this.#wake?.();
    }
    this.#options.onState?.(state);
  }

  #send(event: MemberEvent): void {
    if (!this.#isOver) this.#machine.send(event);
  }

  /** Until it succeeds. */
  async #persistent(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { world, log, id } = this.#options;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (signal.aborted) throw error;
        log.warn('a step in the ring failed, will be tried again', { instance: id, state: this.state, error: String(error) });
        await world.timers.sleep(RETRY_MS * (0.5 + world.random.next()), signal);
      }
    }
  }

  async #heartbeats(): Promise<void> {
    const { world, heartbeatMs, heartbeatTimeoutMs } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const { state } = this;
      this.#isDue = false;
      if (state !== 'STOPPING' && !this.#isOver && !this.#isGoing) {
        try {
          await this.#write(state as InstanceState);
          this.#landedMs = world.clock.monotonicMs();
          if (state === 'UNHEALTHY') this.#send({ type: 'HEARTBEATS_LAND' });
        } catch (error) {
          if (world.clock.monotonicMs() - this.#landedMs > heartbeatTimeoutMs / 2) this.#send({ type: 'HEARTBEATS_LOST' });
          this.#options.log.debug('heartbeat failed', { instance: this.#options.id, error: String(error) });
        }
      }
      const pauseMs = this.#written === undefined ? Math.min(RETRY_MS, heartbeatMs) : heartbeatMs;
      if (!this.#isDue) await this.#pause(pauseMs * (0.9 + world.random.next() / 5));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#wake = undefined;
        cancel();
        this.#ended.signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#options.world.timers.after(ms, done);
      this.#wake = done;
      this.#ended.signal.addEventListener('abort', done, { once: true });
      if (this.#ended.signal.aborted) done();
    });
  }

  /** One write at a time. */
  #write(state: InstanceState): Promise<void> {
    const writing = this.#writing.then(() => this.#writeNow(state));
    this.#writing = writing.catch(() => {});
    return writing;
  }

  async #writeNow(state: InstanceState): Promise<void> {
    const { kv, id, incarnation, zone, shards, url, partitions } = this.#options;
    const key = instanceKey(id);
    const instance: Instance = {
      id,
      incarnation,
      registration: this.#registration,
      state,
      introduced: this.#isIntroduced,
      zone,
      shards,
      url,
      leastVersion: PROTOCOL_VERSION,
      mostVersion: PROTOCOL_VERSION,
      registeredMs: this.#registeredMs,
      beat: ++this.#beat,
      ...(partitions && { partitions: partitions() }),
    };
    const isFirst = this.#written === undefined;
    const revision = await kv.put(key, JSON.stringify(instance), this.#revision);
    if (revision !== undefined) {
      this.#revision = revision;
      this.#written = state;
      this.#registered.resolve();
      return;
    }
    const found = await kv.get(key);
    this.#revision = found?.revision ?? 0;
    const other = found?.value === undefined ? undefined : readInstance(found.value);
    // A write of ours that was in doubt, or what an earlier start of this instance left.
    if (other?.incarnation === incarnation) return this.#writeNow(state);
    if (isFirst) {
      this.#isIntroduced = other?.introduced ?? false;
      return this.#writeNow(state);
    }
    if (found === undefined) {
      this.#options.log.warn('the others were made to forget this instance, it begins anew', { instance: id });
      if (this.state === 'STOPPING') return;
      this.#isIntroduced = false;
      this.#registration = this.#options.world.random.id();
      this.#send({ type: 'FORGOTTEN' });
      return this.#writeNow(this.state as InstanceState);
    }
    this.#options.log.error('another process is this instance now', { instance: id, incarnation: other?.incarnation });
    this.#send({ type: 'REPLACED' });
    throw new Fault('stale_incarnation', `another process is ${id} now`);
  }

  /** Its key has to be there: the others hear of it by that. */
  async #introduce(signal: AbortSignal): Promise<void> {
    await this.#registered.promise;
    if (!this.#isIntroduced) await this.#options.work.introduce?.(this.#registration, signal);
    signal.throwIfAborted(); // it was forgotten meanwhile
    this.#isIntroduced = true;
  }

  #newTokens(): number[] {
    const { tokenCount, world } = this.#options;
    const tokens = new Set<number>();
    while (tokens.size < tokenCount) tokens.add(Math.floor(world.random.next() * 2 ** 32));
    return [...tokens].sort((a, b) => a - b);
  }

  async #leave(): Promise<void> {
    this.#isGoing = true;
    await this.#writing;
    await removeInstance(this.#options.kv, this.#options.id, this.#options.incarnation);
  }
}

/** Makes everybody forget the instance, and its tokens. `incarnation`: only if it is that one still. Throws Fault not_found if there is no such instance. */
export async function removeInstance(kv: Kv, id: string, incarnation?: string): Promise<void> {
  const found = await kv.get(instanceKey(id));
  if (found?.value === undefined) {
    if (incarnation === undefined) throw new Fault('not_found', `there is no instance ${id}`);
    return;
  }
  if (incarnation !== undefined && readInstance(found.value)?.incarnation !== incarnation) return;
  // Tokens go first: an instance that finds its key gone looks for them. Those that were handed over are another's.
  const owned = await tokensOf(kv, id);
  for (const { key, revision } of owned) await kv.delete(key, revision);
  if (await kv.delete(found.key, found.revision)) return;
  for (const { key, text } of owned) await kv.put(key, text, 0); // it is there after all
  throw new Fault('unavailable', `${id} changed meanwhile`, { retryAfterS: 1 });
}
