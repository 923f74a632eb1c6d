import { Departure } from '../../actors/departure.ts';
import { every } from '../../actors/every.ts';
import { introduce } from '../../actors/introduction.ts';
import type { Asker } from '../../actors/kernel/define.ts';
import { forgetSilent } from '../../topology/ring/forget.ts';
import { Member, type MemberWork } from '../../topology/ring/member.ts';
import { quorumOf } from '../../topology/ring/placement.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import type { Subscription } from '../../topology/transport/transport.ts';
import { Fault } from '../base/fault.ts';
import type { Instruments } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import { ringRoutes } from '../http/ring.ts';
import type { Route } from '../http/route.ts';
import { COMPONENTS, type Component } from '../targets.ts';
import type { Readiness } from '../threads/workers.ts';
import type { RingPlace } from './options.ts';
import type { RingStore } from './ring-store.ts';

export interface MembershipDeps {
  readonly asker: Asker;
  /** What this process is made of: it takes a place in the ring of each. */
  readonly components: ReadonlySet<Component>;
  /** Instances of the components that have an actor for each shard. */
  readonly instancesOf: (component: Component) => readonly string[];
  /** Where people and tools reach this process. */
  readonly url: string;
  /** Of the ingest topic, those that this process reads. */
  readonly partitions: () => Promise<readonly number[]>;
  /** Whether all threads of this process do their work. */
  readonly ready: () => Promise<Readiness>;
  /** Another process is this instance now: this one has to end. */
  readonly onReplaced: () => void;
}

const READY_POLL_MS = 100;
const PARTITIONS_MS = 1_000;
/** A process that stops does not wait for longer to be taken out of rings that keep nothing for it. */
const LEAVE_LIMIT_MS = 1_000;
/** Time-outs after which an instance is forgotten that has nothing to come back for. */
const FORGET_AFTER_TIMEOUTS = 10;

export interface MembershipsOptions {
  readonly place: RingPlace;
  readonly store: RingStore;
  readonly world: World;
  readonly instruments: Instruments;
  /** There are no other processes. */
  readonly isAlone: boolean;
  /** Kafka is in front of ingesters: it gives out anew what one has that leaves. */
  readonly isBuffered: boolean;
}

/** The places of this process in the rings of what it is made of, kept by the main thread. */
export class Memberships {
  readonly #place: RingPlace;
  readonly #store: RingStore;
  readonly #world: World;
  readonly #instruments: Instruments;
  readonly #isAlone: boolean;
  readonly #isBuffered: boolean;
  readonly #rings = new Map<Component, Promise<Ring>>();
  readonly #members = new Map<Component, Member>();
  readonly #forgetting: Subscription[] = [];
  /** From when on no place is taken any more. */
  #isLeaving = false;

  constructor({ place, store, world, instruments, isAlone, isBuffered }: MembershipsOptions) {
    this.#place = place;
    this.#store = store;
    this.#world = world;
    this.#instruments = instruments;
    this.#isAlone = isAlone;
    this.#isBuffered = isBuffered;
  }

  /** Of this process. */
  get instance(): string {
    return this.#place.instance;
  }

  /** A page for each ring. */
  routes(): Route[] {
    return COMPONENTS.flatMap((component) =>
      ringRoutes({
        component,
        ring: () => this.#ring(component),
        kv: this.#store.kv(component),
        own: this.#place.instance,
        drain: () => this.#drain(component),
      }),
    );
  }

  /** Watched from when it is first wanted. */
  #ring(component: Component): Promise<Ring> {
    const known = this.#rings.get(component) ?? this.#store.ring(component);
    this.#rings.set(component, known);
    known.catch(() => this.#rings.delete(component));
    return known;
  }

  /** Takes this process's place in the rings of what it is made of. */
  async enter(deps: MembershipDeps): Promise<void> {
    for (const component of deps.components) await this.#enter(component, deps);
  }

  async #enter(component: Component, deps: MembershipDeps): Promise<void> {
    const { instance, incarnation, zone, ring } = this.#place;
    const { log } = this.#instruments;
    const kv = this.#store.kv(component);
    const states = this.#instruments.gauge('millrace_ring_state', 'The state of this process in a ring; 1 for the one that it is in.', [
      'ring',
      'state',
    ]);
    let last = '';
    const seen = await this.#ring(component);
    if (this.#isLeaving) return; // it was told to stop meanwhile
    const placed = component === 'ingester' ? seen : undefined;
    const departure = placed && this.#departure(deps, placed);
    const partitions = placed && this.#isBuffered ? this.#watchPartitions(deps) : undefined;
    const member = new Member({
      kv,
      world: this.#world,
      log,
      work: this.#work(deps, placed, departure),
      id: instance,
      incarnation,
      zone,
      shards: Math.max(1, deps.instancesOf(component).length),
      url: deps.url,
      tokenCount: placed === undefined ? 0 : ring.numTokens,
      heartbeatMs: ring.heartbeatPeriod,
      heartbeatTimeoutMs: ring.heartbeatTimeout,
      ...(partitions && { partitions }),
      onState: (state) => {
        log[this.#isAlone ? 'debug' : 'info']('state in the ring', { ring: component, instance, state });
        if (last !== '') states.remove({ ring: component, state: last });
        states.set(1, { ring: component, state });
        last = state;
        if (state === 'REPLACED') deps.onReplaced();
        if (state === 'LEFT')
          departure?.letGo().catch((error) => log.warn('what was handed over could not be removed', { error: String(error) }));
      },
      ...(ring.inspectLifecycle && {
        onEvent: (event, state) => log.info('lifecycle', { ring: component, instance, event, state }),
      }),
    });
    this.#members.set(component, member);
    member.start();
    const afterMs = placed === undefined ? FORGET_AFTER_TIMEOUTS * ring.heartbeatTimeout : ring.forgetAfter;
    if (afterMs > 0) this.#forgetting.push(forgetSilent({ ring: seen, kv, world: this.#world, log, afterMs }));
  }

  /** What the process's shards read, as of a moment ago. */
  #watchPartitions({ partitions }: MembershipDeps): () => readonly number[] {
    let known: readonly number[] = [];
    const stop = every(this.#world.timers, PARTITIONS_MS, () => {
      partitions().then(
        (now) => {
          known = now;
        },
        (error) => this.#instruments.log.debug('partitions are not known', { error: String(error) }),
      );
    });
    this.#forgetting.push({ close: stop });
    return () => known;
  }

  #departure({ asker, instancesOf }: MembershipDeps, own: Ring): Departure {
    const { instance, zone, ring } = this.#place;
    return new Departure({
      asker,
      ring: own,
      kv: this.#store.kv('ingester'),
      world: this.#world,
      instruments: this.#instruments,
      instance,
      zone,
      ingesters: instancesOf('ingester'),
      quorum: quorumOf(ring.replicationFactor),
    });
  }

  /** `placed`: the ring that says where pushes go. `departure`: of what has something to leave to others. */
  #work({ asker, ready }: MembershipDeps, placed: Ring | undefined, departure: Departure | undefined): MemberWork {
    const world = this.#world;
    const { timers } = world;
    const { instance } = this.#place;
    const { log } = this.#instruments;
    const isBuffered = this.#isBuffered;
    return {
      ...(placed && {
        introduce: (registration, signal) => introduce({ asker, ring: placed, world, log, instance }, registration, signal),
      }),
      // A process counts once it has replayed what it had.
      async catchUp(signal) {
        while (!(await ready()).ready) await timers.sleep(READY_POLL_MS, signal);
      },
      async handOver(signal) {
        if (isBuffered) throw new Fault('unsupported', 'what is behind Kafka is not handed over');
        await departure?.handOver(signal);
      },
      flush: async (signal) => departure?.flush(signal),
    };
  }

  #drain(component: Component): void {
    if (this.#isAlone) throw new Fault('bad_request', 'this process is alone: stop it, and it keeps what it has');
    const member = this.#members.get(component);
    if (member === undefined) throw new Fault('not_found', `this process is not in the ring of ${component}s`);
    member.drain().catch((error) => this.#instruments.log.error('leaving the ring failed', { ring: component, error }));
  }

  /** Of a process whose threads are `own`. */
  readiness(own: Readiness): Readiness {
    if (!own.ready) return own;
    const notYet = [...this.#members].filter(([, { state }]) => state !== 'ACTIVE');
    if (notYet.length === 0 && this.#members.size > 0) return own;
    const reasons = notYet.map(([component, { state }]) => `state in the ring of ${component}s: ${state}`);
    return { ready: false, reason: reasons.length > 0 ? reasons.join('\n') : 'not in a ring yet' };
  }

  /** The others are told that this process is away: its ingester comes back as who it was, everything else leaves. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    for (const forgetting of this.#forgetting) forgetting.close();
    await Promise.all(
      [...this.#members].map(async ([component, member]) => {
        if (component !== 'ingester') await Promise.race([member.drain().catch(() => {}), this.#world.timers.sleep(LEAVE_LIMIT_MS)]);
        await member.stop();
      }),
    );
  }

  async close(): Promise<void> {
    for (const ring of this.#rings.values()) (await ring).close();
  }
}
