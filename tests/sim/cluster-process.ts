import { Departure, type DepartureDeps } from '../../actors/departure.ts';
import { type Neighbours, ringNeighbours } from '../../actors/ingester/neighbours.ts';
import { type Ingesters, shardInstance } from '../../actors/ingesters.ts';
import { introduce } from '../../actors/introduction.ts';
import type { Messenger } from '../../actors/kernel/define.ts';
import { ringSchedulers } from '../../actors/schedulers.ts';
import { Fault } from '../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../ops/base/instruments.ts';
import type { Files, Random } from '../../ops/base/world.ts';
import type { FakeWorld } from '../../ops/base/world-fake.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import type { Kv } from '../../topology/ring/kv.ts';
import { Member } from '../../topology/ring/member.ts';
import { Ring, type SeenInstance } from '../../topology/ring/ring.ts';
import { NatsTransport } from '../../topology/transport/nats.ts';
import { Router } from '../../topology/transport/thread.ts';
import type { FakeBus } from '../support/fake-broker.ts';
import type { FakeKafka } from '../support/fake-kafka.ts';
import { FlakyKv, type Lateness } from '../support/flaky-kv.ts';
import type { CrashMode, PowerCutFiles } from '../support/power-cut-files.ts';
import { SingleStore, type SingleStoreOptions } from '../support/single-store.ts';
import { flakyFiles } from './flaky-files.ts';

export interface ProcessParts {
  readonly world: FakeWorld;
  /** The process's own, as it sees it. */
  readonly diskOf: (files: PowerCutFiles) => Files;
  readonly bus: FakeBus;
  /** The rings' store. */
  readonly kv: Kv;
  /** Where the objects are that all share. */
  readonly objects: PowerCutFiles;
  /** Absent: one of its own. */
  readonly zone?: string;
  /** Where it runs, if not at a place of its name: two starts of it may be there at once. */
  readonly host?: string;
  /** Another start has taken its place, and it has ended. */
  readonly onReplaced?: () => void;
  /** How late news from the rings' store comes; to those who place and read, if not alike. */
  readonly late?: Lateness;
  readonly readersLate?: Lateness;
  /** Where Kafka is in front of ingesters: how a process reaches it, by where it runs. */
  readonly kafka?: { readonly options: KafkaOptions; readonly fake: FakeKafka } | undefined;
  readonly ingestersOf: (ring: Ring) => Ingesters;
  /** Told of its way out of the ring. */
  readonly instruments?: Instruments;
  readonly departing?: (right: DepartureDeps) => DepartureDeps;
  /** In place of how the others are made to hear of it. */
  readonly introduced?: typeof introduce | undefined;
  /** In place of what its ingesters know of the others. */
  readonly neighbouring?: ((right: Neighbours) => Neighbours) | undefined;
  readonly querying?: ((right: Messenger) => Messenger) | undefined;
  /** The objects, as a process sees them. */
  readonly objectsOf?: (objects: Files) => Files;
  readonly options: SingleStoreOptions;
  readonly heartbeatMs: number;
  readonly heartbeatTimeoutMs: number;
}

/** One start of a process of a simulated cluster: the shipped actors, transport, ring and member over a disk of its own. */
export class ClusterProcess {
  readonly id: string;
  readonly incarnation: string;
  /** As those who place and read know them. */
  readonly ingesters: Ingesters;
  readonly store: SingleStore;
  readonly member: Member;
  readonly #rings: readonly Ring[];
  readonly #kvs: readonly FlakyKv[];
  readonly #files: PowerCutFiles;
  readonly #end: () => void;

  private constructor(
    id: string,
    parts: {
      incarnation: string;
      ingesters: Ingesters;
      store: SingleStore;
      member: Member;
      rings: readonly Ring[];
      kvs: readonly FlakyKv[];
      files: PowerCutFiles;
      end: () => void;
    },
  ) {
    this.id = id;
    this.incarnation = parts.incarnation;
    this.ingesters = parts.ingesters;
    this.store = parts.store;
    this.member = parts.member;
    this.#rings = parts.rings;
    this.#kvs = parts.kvs;
    this.#files = parts.files;
    this.#end = parts.end;
  }

  static async start(id: string, files: PowerCutFiles, parts: ProcessParts): Promise<ClusterProcess> {
    const {
      bus,
      objects,
      zone = id,
      host = id,
      ingestersOf,
      querying,
      departing = (right) => right,
      introduced = introduce,
      instruments = noInstruments,
      options,
      heartbeatMs,
      heartbeatTimeoutMs,
      kafka,
    } = parts;
    const world = { ...parts.world, files: parts.diskOf(files) };
    files.clock = world.clock;
    let isOver = false;
    const [control, bulk] = [bus.connect(host), bus.connect(host)];
    const beyond = new NatsTransport({ world, cluster: 'sim', control, bulk, vigilance: { pingMs: 500, missed: 3 } });
    const transport = new Router({ world, beyond });
    const end = (): void => {
      isOver = true;
      void Promise.all([control.close(), bulk.close()]);
    };
    const kv = new FlakyKv(parts.kv, world.clock, parts.late);
    // Threads have views of their own: ingesters one, distributors and queriers another.
    const readersKv = new FlakyKv(parts.kv, world.clock, parts.readersLate ?? parts.late);
    const [ring, readersRing] = await Promise.all(
      [kv, readersKv].map((one) => Ring.open(one, { name: 'ingester', heartbeatTimeoutMs, world, log: noInstruments.log })),
    );
    // A process that is over goes on running here: nothing that it does has an effect any more.
    const own = flakyFiles(objects, () => (isOver ? 'before' : undefined));
    const shared = parts.objectsOf?.(own) ?? own;
    const ingesters = ingestersOf(readersRing);
    // Schedulers have no ring of their own here. One whose ingesters have left schedules for itself.
    const others = ringSchedulers(readersRing);
    const schedulers = { ...others, instances: () => [...new Set([id, ...others.instances()])] };
    const incarnation = world.random.id();
    const right = ringNeighbours(ring, id, incarnation);
    const neighbours = parts.neighbouring?.(right) ?? right;
    const store = await SingleStore.boot(world, {
      ...options,
      among: {
        process: id,
        transport,
        ingesters,
        neighbours,
        schedulers,
        querying,
        objects: shared,
        buffered: kafka && { kafka: kafka.options, ring, connect: () => kafka.fake.client(host, () => isOver) },
      },
    });
    const departure = new Departure(
      departing({
        asker: store.system,
        ring,
        kv,
        world,
        instruments,
        instance: id,
        zone,
        ingesters: Array.from({ length: options.shards }, (_, shard) => shardInstance(id, shard)),
        quorum: ingesters.quorum,
      }),
    );
    const member = new Member({
      kv,
      world,
      log: noInstruments.log,
      id,
      incarnation,
      zone,
      shards: options.shards,
      url: '',
      tokenCount: 8,
      heartbeatMs,
      heartbeatTimeoutMs,
      work: {
        introduce: (registration, signal) =>
          introduced({ asker: store.system, ring, world, log: instruments.log, instance: id }, registration, signal),
        async catchUp(signal) {
          while (!(await store.ready())) await world.timers.sleep(50, signal);
        },
        async handOver(signal) {
          if (kafka !== undefined) throw new Fault('unsupported', 'what is behind Kafka is not handed over');
          await departure.handOver(signal);
        },
        flush: (signal) => departure.flush(signal),
      },
      onState: (state) => {
        if (state === 'LEFT') departure.letGo().catch(() => {}); // it may die meanwhile
        if (state !== 'REPLACED') return;
        end();
        parts.onReplaced?.();
      },
    });
    member.start();
    return new ClusterProcess(id, { incarnation, ingesters, store, member, rings: [ring, readersRing], kvs: [kv, readersKv], files, end });
  }

  /** Whether it sees these starts of processes as active, and nobody else. */
  sees(starts: readonly ClusterProcess[]): boolean {
    return this.#rings.every((ring) => {
      const seen = ring.instances();
      const isActive = ({ isAlive, instance: { state, incarnation } }: SeenInstance): boolean =>
        isAlive && state === 'ACTIVE' && starts.some((start) => start.incarnation === incarnation);
      return seen.length === starts.length && seen.every(isActive);
    });
  }

  /** The others, and the rings' store, are out of reach, or within it again. */
  set isolated(isolated: boolean) {
    for (const kv of this.#kvs) kv.away = isolated;
  }

  /** The process, or its machine, dies. Returns what is left on its disk. */
  crash(mode: CrashMode, random: Random): PowerCutFiles {
    this.#end();
    this.isolated = true;
    for (const ring of this.#rings) ring.close();
    return this.#files.crash(mode, random);
  }

  /** SIGTERM. Resolves when it has stopped. */
  async stop(): Promise<void> {
    await this.member.stop();
    await this.store.system.stop();
    for (const ring of this.#rings) ring.close();
    this.#end();
  }
}
