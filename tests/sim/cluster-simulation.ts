import { createHash } from 'node:crypto';
import type { DepartureDeps } from '../../actors/departure.ts';
import type { Neighbours } from '../../actors/ingester/neighbours.ts';
import { bufferedIngesters, type Ingesters, ringIngesters } from '../../actors/ingesters.ts';
import type { introduce } from '../../actors/introduction.ts';
import type { Messenger } from '../../actors/kernel/define.ts';
import { asFault, Fault } from '../../ops/base/fault.ts';
import { type Instruments, noInstruments } from '../../ops/base/instruments.ts';
import type { Files, Random, Timers } from '../../ops/base/world.ts';
import { type FakeWorld, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { MemoryKv } from '../../topology/ring/kv.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { Dice } from '../support/dice.ts';
import { FakeBus } from '../support/fake-broker.ts';
import { CRASH_MODES, PowerCutFiles } from '../support/power-cut-files.ts';
import type { BufferStats, Entry } from '../support/single-store.ts';
import { ClusterProcess } from './cluster-process.ts';
import { KafkaSide } from './kafka-side.ts';
import { SentEntries } from './sent-entries.ts';

const PROCESSES = ['a', 'b', 'c', 'd', 'e'];
const LEAST_PROCESSES = 3;
const REPLICATION_FACTOR = 3;
const HEARTBEAT_MS = 1_000;
const HEARTBEAT_TIMEOUT_MS = 10_000;
const ACTIONS = 200;
const CALM_LIMIT_MS = 300_000;
const MOST_PROBLEMS = 5;
/** News of the rings is at most so late. */
const LATEST_NEWS_MS = 3_000;
/** Small, so that heads, files and objects are many. */
const STORE = {
  shards: 1,
  ingester: { flushBytes: 120_000, headCeiling: 600_000, walSegmentSize: 1_500, maxChunkAge: 60_000 },
  querier: { maxListingAge: 10_000 },
  recentObjectsMs: 20_000,
  compactors: { count: 1, segmentSize: 6_000, levelZeroAge: 0, compactionInterval: 20_000 },
} as const;

/** What a test breaks on purpose. */
export interface Breakage {
  /** In place of the ring's. */
  readonly ingesters?: (ring: Ring, right: Ingesters) => Ingesters;
  /** In place of a process's disk. */
  readonly files?: (right: PowerCutFiles) => Files;
  /** In place of what a process leaves with. */
  readonly departing?: (right: DepartureDeps) => DepartureDeps;
  /** In place of how the others are made to hear of a process. */
  readonly introduced?: typeof introduce;
  /** In place of what ingesters know of the others. */
  readonly neighbouring?: (right: Neighbours) => Neighbours;
  /** In place of what queriers ask others with. */
  readonly querying?: (right: Messenger) => Messenger;
  /** In place of the objects, as each process sees them. */
  readonly objects?: (right: Files, timers: Timers) => Files;
}

interface Place {
  readonly zone: string;
  /** Where its process runs: counts the machines that it has had. */
  machine: number;
  files: PowerCutFiles;
  process: ClusterProcess | undefined;
  /** Until something that was begun with it is done. */
  isChanging: boolean;
}

/** Several processes over one simulated network, each with a disk of its own, and a shared folder of objects: pushes, queries, flushes and compactions at once, while messages are lost,
 *  processes crash, stop and are cut off. Everything follows from the seed. */
export class ClusterSimulation {
  readonly problems: string[] = [];
  /** What happened, in order, for whoever replays the seed. */
  readonly events: string[] = [];
  readonly #random: Random;
  readonly #dice: Dice;
  readonly #world: FakeWorld;
  readonly #bus: FakeBus;
  readonly #isolated = new Set<string>();
  readonly #kv: MemoryKv;
  readonly #objects = new PowerCutFiles();
  readonly #places: ReadonlyMap<string, Place>;
  readonly #breakage: Breakage;
  readonly #kafka: KafkaSide | undefined;
  readonly #entries = new SentEntries();
  readonly #inDoubt: Entry[][] = [];
  /** What goes on, and since when. */
  readonly #running = new Map<Promise<void>, string>();
  /** Something is or was wrong since the last time that all was well: then what is asked may be refused. */
  #disturbed = true;

  /** `hasKafka`: there is one in front of the ingesters. */
  constructor(seed: number, breakage: Breakage = {}, hasKafka = false) {
    this.#random = seededRandom(seed);
    this.#dice = new Dice(this.#random);
    this.#world = fakeWorld(seed, new PowerCutFiles());
    this.#bus = new FakeBus(this.#world, { lossRatio: 0, delayMs: [0, 5], isolated: this.#isolated });
    this.#kv = new MemoryKv(this.#world.clock);
    this.#objects.clock = this.#world.clock;
    this.#breakage = breakage;
    if (hasKafka) this.#kafka = new KafkaSide(this.#world, this.#dice, this.#isolated);
    const count = this.#dice.pick([LEAST_PROCESSES, LEAST_PROCESSES, 4, PROCESSES.length]);
    // Who leaves finds one of its zone there, or has to find two others.
    const areZonesShared = this.#dice.chance(0.5);
    this.#places = new Map(
      PROCESSES.slice(0, count).map((id, index) => {
        const zone = areZonesShared ? PROCESSES[index % LEAST_PROCESSES] : id;
        return [id, { zone, machine: 1, files: new PowerCutFiles(), process: undefined, isChanging: false }];
      }),
    );
  }

  /** Of all that happened. */
  get traceHash(): string {
    return createHash('sha256').update(this.events.join('\n')).digest('hex').slice(0, 16);
  }

  async run(): Promise<void> {
    await Promise.all([...this.#places.keys()].map((id) => this.#start(id)));
    await this.#calm('at the beginning');
    for (let action = 0; action < ACTIONS && this.problems.length < MOST_PROBLEMS; action++) {
      this.#act();
      await this.#world.advance(this.#dice.below(this.#dice.chance(0.1) ? 3_000 : 200));
      if (this.#dice.chance(0.03)) await this.#calm('in between');
    }
    await this.#calm('at the end');
    for (const { process } of this.#places.values()) await this.#soon(process!.store.flush());
    await this.#calm('after the last flush');
    const [compacting] = this.#living();
    await this.#soon(compacting.store.compact(this.#compactorOf(compacting)));
    await this.#calm('after the last compaction');
  }

  async #start(id: string): Promise<void> {
    const place = this.#places.get(id)!;
    const { ingesters, departing, introduced, neighbouring, querying, objects } = this.#breakage;
    place.process = await ClusterProcess.start(id, place.files, {
      diskOf: this.#breakage.files ?? ((files) => files),
      world: this.#world,
      bus: this.#bus,
      kv: this.#kv,
      objects: this.#objects,
      zone: place.zone,
      host: hostOf(id, place),
      onReplaced: () => this.#note(`a start of ${id} finds that it is replaced`),
      instruments: this.#departureOf(id),
      late: { timers: this.#world.timers, ms: () => this.#dice.below(this.#dice.chance(0.2) ? LATEST_NEWS_MS : 20) },
      departing: (right) => departing?.(right) ?? right,
      introduced,
      neighbouring,
      querying,
      objectsOf: (right) => objects?.(right, this.#world.timers) ?? right,
      kafka: this.#kafka,
      ingestersOf: (ring) => {
        const right = this.#kafka === undefined ? ringIngesters(ring, REPLICATION_FACTOR) : bufferedIngesters(ring);
        return ingesters?.(ring, right) ?? right;
      },
      options: { ...STORE, onFailed: (address, error) => place.process?.id === id && this.#note(`${address} failed for good: ${error}`) },
      heartbeatMs: HEARTBEAT_MS,
      heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
    });
    this.#note(`${id} starts`);
  }

  /** Starts something that goes on beside everything else. */
  #act(): void {
    const acts: (readonly [weight: number, what: string, act: () => Promise<void> | void])[] = [
      [40, 'push', () => this.#push(this.#entries.newPush(this.#dice))],
      [10, 'push again', () => this.#pushAgain()],
      [30, 'query', () => this.#query()],
      [10, 'count', () => this.#count()],
      [5, 'flush', () => this.#flush()],
      [3, 'compact', () => this.#compact()],
      [6, 'crash', () => this.#crash()],
      [3, 'the power goes everywhere', () => this.#crashAll()],
      [3, 'stop', () => this.#stop()],
      [6, 'drain', () => this.#drain()],
      [6, 'cut off', () => this.#cutOff()],
      [3, 'replace', () => this.#replace()],
      [4, 'lose messages, or bring them twice, or late', () => this.#confuseMessages()],
      ...(this.#kafka === undefined ? [] : [[8, 'trouble with Kafka', () => this.#troubleKafka()] as const]),
    ];
    const [, what, act] = this.#dice.pick(acts.flatMap((one) => Array.from({ length: one[0] }, () => one)));
    this.#note(what);
    const running = Promise.resolve(act()).finally(() => this.#running.delete(running));
    this.#running.set(running, `${what} of ${Math.round(this.#world.clock.monotonicMs())}`);
  }

  async #pushAgain(): Promise<void> {
    const entries = this.#inDoubt.shift();
    if (entries !== undefined) await this.#push(entries);
  }

  async #push(entries: Entry[]): Promise<void> {
    for (const entry of entries) this.#entries.sent.set(entry.line, entry);
    const place = this.#anyProcess();
    try {
      if (place === undefined) throw new Fault('unavailable', 'no process is there');
      const { fault } = await place.store.push(entries);
      if (fault !== undefined) throw new Fault(fault.code, fault.message);
      // Of a process that died meanwhile nobody hears.
      if (this.#places.get(place.id)?.process !== place) throw new Fault('unavailable', 'the process is gone');
      for (const entry of entries) this.#entries.acknowledge(entry, this.#world.clock.nowMs());
    } catch (error) {
      this.#inDoubt.push(entries);
      this.#mayFail('push', error);
    }
  }

  async #query(): Promise<void> {
    const app = this.#dice.chance(0.5) ? undefined : `shared-${this.#dice.below(3)}`;
    const process = this.#anyProcess();
    if (process !== undefined) await this.#checkLines(process, app, 'a query').catch((error) => this.#mayFail('query', error));
  }

  /** Rejects as the query does. */
  async #checkLines(
    { store, id }: ClusterProcess,
    app: string | undefined,
    when: string,
    afterWrite = false,
  ): Promise<{ length: number; buffer: BufferStats | undefined }> {
    const wanted = ({ labels }: Entry): boolean => app === undefined || labels.app === app;
    const acknowledged = [...this.#entries.acknowledged.values()].filter(wanted);
    const { lines: found, buffer } = await store.found(app === undefined ? '{app=~".+"}' : `{app="${app}"}`, { afterWrite });
    const mustHave = acknowledged.filter(({ line }) => this.#entries.isKnown(line, buffer));
    const distinct = new Set(found);
    for (const { line } of mustHave) if (!distinct.has(line)) this.#problem(`${when} of ${id} lacks ${line}, acknowledged before`);
    if (found.length !== distinct.size) this.#problem(`${when} of ${id} has ${found.length - distinct.size} entries twice`);
    for (const line of distinct) if (!this.#entries.sent.has(line)) this.#problem(`${when} of ${id} has ${line}, which nobody sent`);
    return { length: found.length, buffer };
  }

  async #count(): Promise<void> {
    const acknowledged = [...this.#entries.acknowledged.keys()];
    const process = this.#anyProcess();
    if (process === undefined) return;
    try {
      const { count, buffer } = await process.store.counted('{app=~".+"}');
      const atLeast = acknowledged.filter((line) => this.#entries.isKnown(line, buffer)).length;
      if (count < atLeast || count > this.#entries.sent.size)
        this.#problem(`counted ${count}, with ${atLeast} acknowledged before and ${this.#entries.sent.size} sent by then`);
    } catch (error) {
      this.#mayFail('count', error);
    }
  }

  async #flush(): Promise<void> {
    const process = this.#anyProcess();
    if (process === undefined) return;
    const flushed = process.store.flush().catch((error) => this.#mayFail('flush', error));
    await Promise.race([flushed, this.#gone(process)]);
  }

  /** Resolves once it is over: what it was asked is never answered then. */
  async #gone(process: ClusterProcess): Promise<void> {
    while (this.#places.get(process.id)?.process === process) await this.#world.timers.sleep(500);
  }

  async #compact(): Promise<void> {
    const process = this.#anyProcess();
    await process?.store.compact(this.#compactorOf(process)).catch((error) => this.#mayFail('compact', error));
  }

  #compactorOf({ id }: ClusterProcess): string {
    return `${id}-0`;
  }

  /** Of all that nothing else is happening to. */
  async #crashAll(): Promise<void> {
    const places = [...this.#places.values()].filter(({ isChanging }) => !isChanging);
    const mode = this.#dice.pick(CRASH_MODES);
    await Promise.all(places.map((place) => this.#crash(place, mode)));
  }

  async #crash(place = this.#unchanging(), mode = this.#dice.pick(CRASH_MODES)): Promise<void> {
    await this.#change(place, async (process, changing) => {
      this.#note(`${process.id} crashes, ${mode}`);
      changing.files = process.crash(mode, this.#random);
      changing.process = undefined;
      await this.#world.timers.sleep(this.#dice.below(this.#dice.chance(0.5) ? 40_000 : 4_000));
      await this.#start(process.id);
    });
  }

  #stop(): Promise<void> {
    return this.#change(this.#unchanging(), async (process, changing) => {
      this.#note(`${process.id} stops`);
      changing.process = undefined;
      await process.stop().catch((error) => this.#problem(`${process.id} did not stop: ${error}`));
      changing.files = changing.files.crash('killed', this.#random);
      await this.#world.timers.sleep(this.#dice.below(5_000));
      await this.#start(process.id);
    });
  }

  /** It leaves for good, and comes back as one that is new, with what its disk has then; now and then it dies on its way. */
  #drain(): Promise<void> {
    return this.#change(this.#unchanging(), async (process, changing) => {
      this.#note(`${process.id} is drained`);
      const left = process.member.drain().catch((error) => this.#note(`${process.id} did not leave: ${error}`));
      if (this.#dice.chance(0.3)) {
        await Promise.race([left, this.#world.timers.sleep(this.#dice.below(this.#dice.chance(0.7) ? 100 : 10_000))]);
        const mode = this.#dice.pick(CRASH_MODES);
        this.#note(`${process.id} crashes as ${process.member.state}, ${mode}`);
        changing.files = process.crash(mode, this.#random);
        changing.process = undefined;
      } else {
        await left;
        this.#note(`${process.id} is ${process.member.state}`);
        await this.#world.timers.sleep(this.#dice.below(2_000));
        changing.process = undefined;
        await process.stop().catch((error) => this.#problem(`${process.id} did not stop: ${error}`));
        changing.files = changing.files.crash('killed', this.#random);
      }
      await this.#world.timers.sleep(this.#dice.below(this.#dice.chance(0.5) ? 40_000 : 4_000));
      await this.#start(process.id);
    });
  }

  #cutOff(): Promise<void> {
    return this.#change(this.#unchanging(), async (process, { machine }) => {
      this.#note(`${process.id} is cut off`);
      const host = hostOf(process.id, { machine });
      this.#isolated.add(host);
      process.isolated = true;
      await this.#world.timers.sleep(this.#dice.below(this.#dice.chance(0.5) ? 40_000 : 4_000));
      this.#note(`${process.id} is within reach again`);
      this.#isolated.delete(host);
      process.isolated = false;
    });
  }

  /** While it is cut off, it is started on another machine, with an empty disk; then the first one is within reach again. A disk that is gone is all that may fail until what the others have is in storage. */
  async #replace(): Promise<void> {
    const places = [...this.#places.values()];
    const place = this.#dice.pick(places);
    const zombie = place.process;
    if (zombie === undefined || places.some(({ isChanging, process }) => isChanging || process?.member.state !== 'ACTIVE')) return;
    const { id } = zombie;
    const host = hostOf(id, place);
    this.#disturbed = true;
    for (const one of places) one.isChanging = true;
    this.#note(`${id} is cut off, and started elsewhere`);
    this.#isolated.add(host);
    zombie.isolated = true;
    Object.assign(place, { machine: place.machine + 1, files: new PowerCutFiles(), process: undefined });
    await this.#start(id);
    const others = this.#living().filter((process) => process.id !== id);
    for (const { store } of others) await this.#insist(() => store.flush());
    await place.process!.member.reaches(['ACTIVE']);
    // Its name is not given up before the first one has ended, which would take it again, and lose another disk to it.
    for (const one of places) one.isChanging = one === place;
    await this.#world.timers.sleep(LATEST_NEWS_MS + this.#dice.below(2_000));
    this.#note(`the first ${id} is within reach again`);
    this.#isolated.delete(host);
    zombie.isolated = false;
    await zombie.member.reaches(['REPLACED']);
    place.isChanging = false;
  }

  /** Until it succeeds. */
  async #insist(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await work();
        return;
      } catch {
        await this.#world.timers.sleep(500);
      }
    }
  }

  /** Does something to a process, and nothing else to it meanwhile. */
  async #change(place: Place | undefined, work: (process: ClusterProcess, place: Place) => Promise<void>): Promise<void> {
    if (place?.process === undefined) return;
    this.#disturbed = true;
    place.isChanging = true;
    await work(place.process, place);
    place.isChanging = false;
  }

  async #confuseMessages(): Promise<void> {
    this.#disturbed = true;
    const { network } = this.#bus;
    network[this.#dice.pick(['lossRatio', 'lossRatio', 'duplicateRatio', 'lateRatio'] as const)] = this.#dice.pick([0.001, 0.01, 0.05]);
    await this.#world.timers.sleep(this.#dice.below(5_000));
    Object.assign(network, { lossRatio: 0, duplicateRatio: 0, lateRatio: 0 });
  }

  async #troubleKafka(): Promise<void> {
    this.#disturbed = true;
    await this.#kafka!.trouble();
  }

  /** One that nothing is happening to; another one at the same time only now and then. */
  #unchanging(): Place | undefined {
    const places = [...this.#places.values()];
    if (places.some(({ isChanging }) => isChanging) && !this.#dice.chance(0.6)) return undefined;
    const free = places.filter(({ isChanging }) => !isChanging);
    return free.length < 2 ? undefined : this.#dice.pick(free);
  }

  /** Undefined: nobody is there to be asked. */
  #anyProcess(): ClusterProcess | undefined {
    const living = this.#living();
    return living.length === 0 ? undefined : this.#dice.pick(living);
  }

  #living(): ClusterProcess[] {
    return [...this.#places.values()].flatMap(({ process }) => process ?? []);
  }

  /** A failure is a problem unless something is wrong, and it says that the client is to try again. */
  #mayFail(what: string, error: unknown): void {
    const { code, retry, message } = asFault(error);
    if (!this.#disturbed || !retry) this.#problem(`${what} failed with ${code}: ${message}`);
  }

  /** Nothing fails any more: all that goes on ends, everybody is active, what is in doubt is sent again and taken, and every answer has exactly what was acknowledged. */
  async #calm(when: string): Promise<void> {
    const beganMs = this.#world.clock.monotonicMs();
    const late = (): boolean => this.#world.clock.monotonicMs() - beganMs > CALM_LIMIT_MS;
    while (this.#running.size > 0 && !late()) await this.#world.advance(100);
    while (!late() && !(await this.#isWell())) await this.#world.advance(100);
    if (late())
      return this.#problem(
        `${when}: the cluster does not come to rest: ${[...this.#running.values()].join(', ')} go on, ${this.#describe()}`,
      );
    this.#disturbed = false;
    for (const entries of this.#inDoubt.splice(0)) await this.#soon(this.#push(entries));
    if (this.#inDoubt.length > 0) this.#problem(`${when}: ${this.#inDoubt.length} pushes are refused though nothing is wrong`);
    for (const process of this.#living()) {
      const found = await this.#whole(late, () => this.#checkLines(process, undefined, when, true));
      const count = (await this.#whole(late, () => process.store.counted('{app=~".+"}', true)))?.count;
      if (found?.length !== this.#entries.acknowledged.size)
        this.#problem(`${when}: ${process.id} found ${found?.length} of ${this.#entries.acknowledged.size}`);
      if (count !== found?.length) this.#problem(`${when}: ${process.id} counted ${count}, found ${found?.length}`);
    }
    this.#note(`calm ${when}: ${this.#entries.acknowledged.size} entries`);
  }

  /** An answer that does not say that it lacks something: whom the group takes for gone, or a start that is replaced, may have had partitions until just now. */
  async #whole<T extends { readonly buffer: BufferStats | undefined }>(late: () => boolean, ask: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      const answer = await this.#soon(ask());
      if (late() || (answer?.buffer?.unreadPartitions ?? 0) === 0) return answer;
      await this.#world.advance(100);
    }
  }

  async #isWell(): Promise<boolean> {
    if ([...this.#places.values()].some(({ isChanging, process }) => isChanging || process?.member.state !== 'ACTIVE')) return false;
    const living = this.#living();
    if (living.length < this.#places.size || !living.every((process) => process.sees(living))) return false;
    const actors = this.#living().flatMap(({ store }) => store.system.observe());
    // Distributors find out by themselves that Kafka takes records again.
    if (!actors.every(({ state, detail }) => state === 'running' && (detail.brokenPartitions ?? 0) === 0)) return false;
    // All have to see each other: who cannot is told so by a push that is refused.
    const probes = this.#living().map(({ store }) =>
      this.#soon(
        store.counted('{app="nothing"}').then(
          ({ buffer }) => buffer === undefined || buffer.unreadPartitions === 0,
          () => false,
        ),
      ),
    );
    return (await Promise.all(probes)).every((probe) => probe === true);
  }

  #describe(): string {
    return [...this.#places]
      .map(
        ([id, { process, isChanging }]) =>
          `${id}: ${process?.member.state ?? 'down'}${isChanging ? ', changing' : ''}${whyNotReady(process)}`,
      )
      .join('; ');
  }

  /** Lets time go on until it is settled; undefined if it fails, which is a problem. */
  async #soon<T>(work: Promise<T>): Promise<T | undefined> {
    let isDone = false;
    const settled = work.then(
      (value) => {
        isDone = true;
        return value;
      },
      (error) => {
        isDone = true;
        this.#mayFail('what should go well', error);
        return undefined;
      },
    );
    const beganMs = this.#world.clock.monotonicMs();
    while (!isDone) {
      if (this.#world.clock.monotonicMs() - beganMs > CALM_LIMIT_MS) {
        this.#problem('something hangs');
        return undefined;
      }
      await this.#world.advance(20);
    }
    return settled;
  }

  /** Notes what a process says of its way out. */
  #departureOf(id: string): Instruments {
    const note = (message: string, fields: object = {}): void => this.#note(`${id}: ${message} ${Object.values(fields).join(', ')}`);
    return { ...noInstruments, log: { ...noInstruments.log, info: note, warn: note } };
  }

  #note(event: string): void {
    this.events.push(`${Math.round(this.#world.clock.monotonicMs())} ${event}`);
  }

  #problem(text: string): void {
    this.#note(`PROBLEM: ${text}`);
    this.problems.push(text);
  }
}

/** Its name on the network. */
function hostOf(id: string, { machine }: Pick<Place, 'machine'>): string {
  return machine === 1 ? id : `${id} ${machine}`;
}

/** Why a process is not at rest, by its actors; '' if it is. */
function whyNotReady(process: ClusterProcess | undefined): string {
  const whys = (process?.store.system.observe() ?? []).map(({ address, state, detail }) => {
    if (state !== 'running') return `${address} is ${state}`;
    if (Number(detail.brokenPartitions ?? 0) > 0) return `${detail.brokenPartitions} partitions take nothing`;
    return detail.waitsFor || (detail.state === 'replaying' ? 'replaying' : '');
  });
  return whys.map((why) => (why === '' || why === undefined ? '' : ` (${why})`)).join('');
}
