import { Departure } from '../../actors/departure.ts';
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
import type { Readiness } from '../threads/workers.ts';
import { type ClusterSettings, INGESTER_RING } from './options.ts';
import { type ClusterReach, reachCluster } from './reach.ts';

export interface MembershipDeps {
  readonly asker: Asker;
  /** The ingesters of this process, one for each shard. */
  readonly ingesters: readonly string[];
  /** Whether all threads of this process do their work. */
  readonly ready: () => Promise<Readiness>;
  /** Another process is this instance now: this one has to end. */
  readonly onReplaced: () => void;
}

const READY_POLL_MS = 100;
const TAIL_PATHS = ['/loki/api/v1/tail', '/api/prom/tail'];

/** What the main thread of a process that is one of several has of the cluster. */
export class Cluster {
  readonly reach: ClusterReach;
  readonly #settings: ClusterSettings;
  readonly #ring: Ring;
  readonly #world: World;
  readonly #instruments: Instruments;
  #member: Member | undefined;
  #forgetting: Subscription | undefined;

  private constructor(settings: ClusterSettings, reach: ClusterReach, ring: Ring, world: World, instruments: Instruments) {
    this.#settings = settings;
    this.reach = reach;
    this.#ring = ring;
    this.#world = world;
    this.#instruments = instruments;
  }

  /** Connects, and learns who is there, however long that takes. Rejects if NATS refuses. */
  static async find(settings: ClusterSettings, world: World, instruments: Instruments): Promise<Cluster> {
    const reach = await reachCluster(settings, 'main', world, instruments);
    return new Cluster(settings, reach, await reach.ring(settings), world, instruments);
  }

  /** What only a cluster serves, and what it does not serve yet. */
  routes(): Route[] {
    const refused = TAIL_PATHS.map((path): Route => {
      const handle = () => Promise.reject(new Fault('unsupported', 'live tails are not served by several processes yet'));
      return { methods: ['GET'], path, access: 'tenant', handle };
    });
    const own = { id: this.#settings.instance, drain: () => this.#drain() };
    return [...ringRoutes({ ring: this.#ring, kv: this.reach.kv(INGESTER_RING), own }), ...refused];
  }

  /** Takes this process's place in the ring of the ingesters. */
  enter(deps: MembershipDeps): void {
    const { instance, zone, ring } = this.#settings;
    const { log } = this.#instruments;
    const departure = this.#departure(deps);
    this.#member = new Member({
      kv: this.reach.kv(INGESTER_RING),
      world: this.#world,
      log,
      work: this.#work(deps, departure),
      id: instance,
      zone,
      shards: deps.ingesters.length,
      url: '',
      tokenCount: ring.numTokens,
      heartbeatMs: ring.heartbeatPeriod,
      heartbeatTimeoutMs: ring.heartbeatTimeout,
      onState: (state) => {
        log.info('state in the ring', { ring: INGESTER_RING, instance, state });
        if (state === 'REPLACED') deps.onReplaced();
        if (state === 'LEFT')
          departure.letGo().catch((error) => log.warn('what was handed over could not be removed', { error: String(error) }));
      },
    });
    this.#member.start();
    if (ring.forgetAfter > 0) {
      const kv = this.reach.kv(INGESTER_RING);
      this.#forgetting = forgetSilent({ ring: this.#ring, kv, world: this.#world, log, afterMs: ring.forgetAfter });
    }
  }

  #departure({ asker, ingesters }: MembershipDeps): Departure {
    const { instance, zone, ring } = this.#settings;
    return new Departure({
      asker,
      ring: this.#ring,
      kv: this.reach.kv(INGESTER_RING),
      world: this.#world,
      instruments: this.#instruments,
      instance,
      zone,
      ingesters,
      quorum: quorumOf(ring.replicationFactor),
    });
  }

  #work({ ready }: MembershipDeps, departure: Departure): MemberWork {
    const { timers } = this.#world;
    return {
      // A process counts once it has replayed what it had.
      async catchUp(signal) {
        while (!(await ready()).ready) await timers.sleep(READY_POLL_MS, signal);
      },
      handOver: (signal) => departure.handOver(signal),
      flush: (signal) => departure.flush(signal),
    };
  }

  /** Begins to leave the ring for good. */
  #drain(): void {
    if (this.#member === undefined) throw new Fault('unavailable', 'this process is in no ring yet', { retryAfterS: 1 });
    this.#member.drain().catch((error) => this.#instruments.log.warn('the ring was not left', { error: String(error) }));
  }

  /** Of a process whose threads are `own`. */
  readiness(own: Readiness): Readiness {
    const state = this.#member?.state;
    return !own.ready || state === 'ACTIVE' ? own : { ready: false, reason: `state in the ring: ${state ?? 'not there yet'}` };
  }

  /** The others are told that this process is away; it comes back as who it was. */
  async leave(): Promise<void> {
    this.#forgetting?.close();
    await this.#member?.stop();
  }

  /** After the transport. */
  async close(): Promise<void> {
    this.#ring.close();
    await this.reach.close();
  }
}
