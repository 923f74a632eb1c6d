import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Random } from '../../ops/base/world.ts';
import { FAKE_START_MS, type FakeWorld, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { Dice } from '../support/dice.ts';
import { CRASH_MODES, PowerCutFiles } from '../support/power-cut-files.ts';
import { type Entry, type Extent, SingleStore } from '../support/single-store.ts';
import { flakyFiles } from './flaky-files.ts';
import { HOUR_NS, SentEntries, START_NS } from './sent-entries.ts';

const MS_NS = 1_000_000n;
const LIVES = 6;
const MOST_SHARDS = 3;
/** Small, so that files, heads and objects are many. */
const INGESTER = { headCeiling: 90_000, walSegmentSize: 900, maxChunkAge: 90_000 };
/** From a flush for each push to a few in a life. */
const FLUSH_BYTES = [5_000, 15_000, 20_000, 25_000, 50_000];
/** Two of them, as they should not be. Segments are small, so that there are several a day. */
const COMPACTORS = { count: 2, segmentSize: 6_000 };
const LEVEL_ZERO_AGES = [0, 2_000, 60_000];
const COMPACTION_INTERVALS = [500, 5_000, 60_000];
/** Longer than what was merged is kept. */
const KEPT_MS = 1_000_000;
/** Failures of one actor within the window of its restart policy, less than its supervisor bears. */
const MOST_FAILURES = 2;
const FAILURE_WINDOW_MS = 60_000;
const MOST_BACKOFF_MS = 30_000;
const MOST_PROBLEMS = 5;

/** One process, from its start until it stops, or until the power goes. */
interface Life {
  readonly world: FakeWorld;
  readonly files: PowerCutFiles;
  readonly store: SingleStore;
  readonly shards: number;
  readonly running: Set<Promise<void>>;
  /** When actors were told to fail, monotonic milliseconds. */
  readonly failures: number[];
  /** By a power cut, or to be. */
  ended: boolean;
}

/** The shipped actors, from a seed: pushes, flushes and queries at once, over several starts of the process with different numbers of shards, while power, disk,
 *  storage and actors fail. What a client could notice of a broken promise is collected in `problems`. */
export class Simulation {
  readonly problems: string[] = [];
  /** What happened, in order, for whoever replays the seed. */
  readonly events: string[] = [];
  readonly #seed: number;
  readonly #random: Random;
  readonly #dice: Dice;
  readonly #entries = new SentEntries();
  readonly #inDoubt: Entry[][] = [];
  #files = new PowerCutFiles();
  /** How often an operation on objects fails. */
  #storageFailsRatio = 0;
  /** Something other than a full disk is or was wrong since the last time that all was well: then queries may be refused. */
  #disturbed = false;
  #disturbances = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#dice = new Dice(this.#random);
  }

  async run(): Promise<void> {
    for (let number = 0; number < LIVES && this.problems.length === 0; number++) await this.#liveAndDie(number);
    if (this.problems.length === 0) await this.#liveQuietly();
  }

  async #liveAndDie(number: number): Promise<void> {
    const files = this.#files;
    const ends = this.#dice.chance(0.7) ? files.steps + Math.floor(2 ** (3 + this.#random.next() * 9)) : Number.POSITIVE_INFINITY;
    files.stopAt = ends;
    const life: { current?: Life } = {};
    let over = false;
    const living = this.#live(number, files, life).then(
      () => {
        over = true;
      },
      (error) => {
        over = true;
        if (files.steps < ends) this.#problem(`the process failed: ${error instanceof Error ? error.stack : error}`);
      },
    );
    for (let turns = 0; !over && turns < 30; ) {
      await nextTurn();
      if (files.steps >= ends) turns++;
    }
    if (life.current !== undefined) life.current.ended = true;
    if (over) await living;
    const mode = files.steps >= ends ? this.#dice.pick(CRASH_MODES) : 'nothing';
    this.#note(files.steps >= ends ? `the power goes at step ${ends}, ${mode}` : 'stopped, and the power goes');
    this.#files = files.crash(mode, seededRandom(this.#seed + number));
    this.#heal();
  }

  async #live(number: number, files: PowerCutFiles, place: { current?: Life }): Promise<void> {
    const life = await this.#boot(number, files);
    place.current = life;
    if (this.#dice.chance(0.5)) await this.#whenReady(life);
    const actions = 10 + this.#dice.below(80);
    for (let action = 0; action < actions && !isOver(life) && this.problems.length < MOST_PROBLEMS; action++) {
      this.#act(life);
      for (let turns = this.#dice.below(6); turns > 0; turns--) await nextTurn();
      if (this.#dice.chance(0.15)) await life.world.advance(this.#dice.below(this.#dice.chance(0.1) ? 100_000 : 2_000));
      if (this.#dice.chance(0.06)) await this.#calm(life, 'in between');
      // What restarted meanwhile is up again, and asked before anything else is flushed.
      if (this.#storageFailsRatio === 0 && this.#dice.chance(0.1)) {
        await this.#whenReady(life);
        await this.#query(life);
      }
    }
    if (this.#dice.chance(0.6)) await this.#calm(life, 'at the end');
    if (isOver(life)) return;
    this.#heal();
    this.#disturbed = true;
    this.#note('stops');
    await this.#stop(life);
  }

  /** The last life: nothing fails any more, and everything sent in doubt is sent again. */
  async #liveQuietly(): Promise<void> {
    const life = await this.#boot(LIVES, this.#files);
    await this.#whenReady(life);
    await this.#calm(life, 'after the last start');
    await life.store.flush();
    await this.#calm(life, 'after the last flush');
    await life.store.compact();
    await this.#calm(life, 'after the last compaction');
    await life.world.advance(KEPT_MS);
    const { deleted } = await life.store.compact();
    await this.#calm(life, `after ${deleted} objects were deleted`);
    await this.#stop(life);
  }

  /** Time goes on between two lives, now and then by more than anything is kept for. */
  #startMs({ clock }: PowerCutFiles): number {
    return clock === undefined ? FAKE_START_MS : clock.nowMs() + this.#dice.below(this.#dice.chance(0.3) ? 2 * KEPT_MS : 60_000);
  }

  async #boot(number: number, files: PowerCutFiles): Promise<Life> {
    const fails = (path: string) => {
      if (!path.startsWith('/data/objects/') || this.#storageFailsRatio === 0 || !this.#dice.chance(this.#storageFailsRatio))
        return undefined;
      return this.#dice.chance(0.5) ? 'before' : 'after';
    };
    const world = fakeWorld(this.#seed * LIVES + number, flakyFiles(files, fails), this.#startMs(files));
    files.clock = world.clock;
    const shards = 1 + this.#dice.below(MOST_SHARDS);
    this.#disturbed = true; // it has yet to replay
    this.#note(`starts with ${shards} shards`);
    const ingester = { ...INGESTER, flushBytes: this.#dice.pick(FLUSH_BYTES) };
    const onFailed = (address: string, error: unknown): void => {
      if (files.steps < files.stopAt) this.#problem(`${address} failed for good: ${error}`);
    };
    const compactionInterval = number === LIVES ? KEPT_MS : this.#dice.pick(COMPACTION_INTERVALS);
    const compactors = { ...COMPACTORS, levelZeroAge: this.#dice.pick(LEVEL_ZERO_AGES), compactionInterval };
    const store = await SingleStore.boot(world, { shards, ingester, compactors, onFailed });
    return { world, files, store, shards, running: new Set(), failures: [], ended: false };
  }

  /** Starts something that goes on beside everything else. */
  #act(life: Life): void {
    const acts: [weight: number, what: string, act: () => Promise<void> | void][] = [
      [40, 'push', () => this.#push(life, this.#entries.newPush(this.#dice))],
      [8, 'push again', () => this.#pushAgain(life)],
      [20, 'query', () => this.#query(life)],
      [6, 'count', () => this.#count(life)],
      [6, 'flush', () => this.#flush(life)],
      [6, 'compact', () => this.#compact(life)],
      [4, 'disk full', () => this.#fillDisk(life)],
      [4, 'sync fails', () => this.#failSync(life)],
      [4, 'storage fails', () => this.#failStorage()],
      [4, 'actor fails', () => this.#failActor(life)],
      [4, 'heal', () => this.#heal()],
    ];
    const [, what, act] = this.#dice.pick(acts.flatMap((one) => Array.from({ length: one[0] }, () => one)));
    this.#note(what);
    const running = Promise.resolve(act()).finally(() => life.running.delete(running));
    life.running.add(running);
  }

  async #pushAgain(life: Life): Promise<void> {
    const entries = this.#inDoubt.shift();
    if (entries !== undefined) await this.#push(life, entries);
  }

  async #push(life: Life, entries: Entry[]): Promise<void> {
    for (const entry of entries) this.#entries.sent.set(entry.line, entry);
    try {
      const { fault } = await life.store.push(entries, String(this.#dice.below(life.shards)));
      if (fault !== undefined) throw new Fault(fault.code, fault.message);
      for (const entry of entries) this.#entries.acknowledged.set(entry.line, entry);
    } catch (error) {
      this.#inDoubt.push(entries);
      this.#mayFail(life, 'push', error, true);
    }
  }

  async #flush(life: Life): Promise<void> {
    await life.store.flush().catch((error) => this.#mayFail(life, 'flush', error, true));
  }

  async #compact(life: Life): Promise<void> {
    await life.store.compact(String(this.#dice.below(COMPACTORS.count))).catch((error) => this.#mayFail(life, 'compact', error, true));
  }

  async #query(life: Life): Promise<void> {
    const fromNs = START_NS + BigInt(this.#dice.below(2)) * HOUR_NS + BigInt(this.#dice.below(100)) * MS_NS;
    const extent: Extent = {
      direction: this.#dice.pick(['forward', 'backward']),
      ...(this.#dice.chance(0.3) ? { fromNs } : {}),
      ...(this.#dice.chance(0.3) ? { toNs: fromNs + HOUR_NS } : {}),
    };
    const app = this.#dice.chance(0.5) ? undefined : `shared-${this.#dice.below(3)}`;
    await this.#checkLines(life, app, extent).catch(() => {});
  }

  /** Throws what the query throws. */
  async #checkLines(life: Life, app: string | undefined, extent: Extent, when = 'a query'): Promise<string[]> {
    const { fromNs = 0n, toNs = 2n ** 62n } = extent;
    const wanted = ({ labels, timeNs }: Entry): boolean => timeNs >= fromNs && timeNs < toNs && (app === undefined || labels.app === app);
    const mustHave = [...this.#entries.acknowledged.values()].filter(wanted);
    const found = await this.#asking(life, () => life.store.lines(app === undefined ? '{app=~".+"}' : `{app="${app}"}`, extent));
    const distinct = new Set(found);
    const what = `${when} of ${app ?? 'all'} ${extent.direction ?? ''}`;
    for (const { line } of mustHave) if (!distinct.has(line)) this.#problem(`${what} lacks ${line}, acknowledged before`);
    if (found.length !== distinct.size) this.#problem(`${what} has ${found.length - distinct.size} entries twice`);
    for (const line of distinct) {
      const entry = this.#entries.sent.get(line);
      if (entry === undefined || !wanted(entry)) this.#problem(`${what} has ${line}, which does not belong there`);
    }
    return found;
  }

  async #count(life: Life): Promise<void> {
    const atLeast = this.#entries.acknowledged.size;
    const count = await this.#asking(life, () => life.store.count('{app=~".+"}')).catch(() => undefined);
    if (count === undefined) return;
    if (count < atLeast || count > this.#entries.sent.size)
      this.#problem(`counted ${count}, with ${atLeast} acknowledged before and ${this.#entries.sent.size} sent by then`);
  }

  async #asking<T>(life: Life, query: () => Promise<T>): Promise<T> {
    const before = this.#disturbances;
    const wasDisturbed = this.#disturbed;
    try {
      return await query();
    } catch (error) {
      this.#mayFail(life, 'query', error, wasDisturbed || this.#disturbed || this.#disturbances !== before);
      throw error;
    }
  }

  /** A failure is a problem unless it `may` be, and says that the client is to try again. */
  #mayFail(life: Life, what: string, error: unknown, may: boolean): void {
    if (isOver(life)) return;
    const { code, retry, message } = asFault(error);
    if (!may || !retry) this.#problem(`${what} failed with ${code}: ${message}`);
  }

  #fillDisk({ files }: Life): void {
    files.quotaBytes = this.#dice.below(1_500);
  }

  #failSync({ files }: Life): void {
    this.#disturb();
    files.goodSyncs = this.#dice.below(4);
  }

  #failStorage(): void {
    this.#disturb();
    this.#storageFailsRatio = this.#dice.pick([0.1, 0.5, 1]);
  }

  #failActor({ store, shards, failures, world }: Life): void {
    const nowMs = world.clock.monotonicMs();
    if (failures.filter((atMs) => nowMs - atMs < FAILURE_WINDOW_MS).length >= MOST_FAILURES) return;
    failures.push(nowMs);
    this.#disturb();
    store.fail(`${this.#dice.pick(['ingester', 'ingester', 'querier', 'distributor', 'compactor'])}/${this.#dice.below(shards)}`);
  }

  #disturb(): void {
    this.#disturbed = true;
    this.#disturbances++;
  }

  #heal(): void {
    this.#files.quotaBytes = Number.POSITIVE_INFINITY;
    this.#files.goodSyncs = Number.POSITIVE_INFINITY;
    this.#storageFailsRatio = 0;
  }

  /** Nothing fails any more: all that goes on ends, what is in doubt is sent again and taken, and an answer has exactly what was acknowledged. */
  async #calm(life: Life, when: string): Promise<void> {
    this.#heal();
    while (life.running.size > 0 && !isOver(life)) await life.world.advance(200);
    await this.#whenReady(life);
    if (isOver(life)) return;
    this.#disturbed = false;
    // A flush that storage refused is tried again after a while, and until then full heads take no pushes.
    const beganMs = life.world.clock.monotonicMs();
    while (this.#inDoubt.length > 0 && !isOver(life) && life.world.clock.monotonicMs() - beganMs < MOST_BACKOFF_MS) {
      for (const entries of this.#inDoubt.splice(0)) await this.#push(life, entries);
      await life.world.advance(500);
    }
    if (isOver(life)) return;
    if (this.#inDoubt.length > 0) this.#problem(`${when}: ${this.#inDoubt.length} pushes are refused though nothing is wrong`);
    const found = await this.#checkLines(life, undefined, {}, when);
    const count = await this.#asking(life, () => life.store.count('{app=~".+"}'));
    if (found.length !== this.#entries.acknowledged.size)
      this.#problem(`${when}: found ${found.length} of ${this.#entries.acknowledged.size}`);
    if (count !== found.length) this.#problem(`${when}: counted ${count}, found ${found.length}`);
    this.#note(`calm ${when}: ${found.length} entries`);
  }

  async #whenReady(life: Life): Promise<void> {
    const { store, world } = life;
    const ready = async () => store.system.observe().every(({ state }) => state === 'running') && (await store.ready());
    const beganMs = world.clock.monotonicMs();
    while (!isOver(life) && !(await ready())) {
      // Heads at their ceiling wait for storage: somebody makes room.
      if (world.clock.monotonicMs() - beganMs > MOST_BACKOFF_MS) this.#heal();
      await world.advance(100);
    }
  }

  async #stop({ store, world }: Life): Promise<void> {
    let stopped = false;
    const stopping = store.system.stop().finally(() => {
      stopped = true;
    });
    stopping.catch(() => {}); // awaited below
    const beganMs = world.clock.monotonicMs();
    while (!stopped && world.clock.monotonicMs() - beganMs < 20_000) await world.advance(100);
    await stopping;
    if (world.clock.monotonicMs() - beganMs > 4_000) this.#problem(`the stop took ${world.clock.monotonicMs() - beganMs} ms`);
  }

  #note(event: string): void {
    this.events.push(event);
  }

  #problem(text: string): void {
    this.#note(`PROBLEM: ${text}`);
    this.problems.push(text);
  }
}

function isOver({ ended, files }: Life): boolean {
  return ended || files.steps >= files.stopAt;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
