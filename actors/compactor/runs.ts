import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { DamagedObject } from '../../storage/segment/damaged-object.ts';
import { floors } from '../../storage/segment/garbage.ts';
import type { StartContext } from '../kernel/define.ts';
import type { CompactorReply } from '../protocol/jobs.ts';
import { Turns } from '../turns.ts';
import { garbage } from './collect.ts';
import { type CompactOutcome, compact } from './compact.ts';
import type { CompactorDeps } from './compactor.ts';
import { type CompactorMetrics, compactorMetrics } from './compactor-metrics.ts';
import { DamagedParts, type PartName } from './damaged-parts.ts';
import { IdlePace, shareWhenLate } from './idle-pace.ts';
import { dueCompaction, type PlannedCompaction } from './plan.ts';
import { type StorageSurvey, Surveyor } from './survey.ts';

/** What the console shows. */
export interface CompactorState {
  running: boolean;
  /** Compactions due by the last survey, and stored bytes that they take. */
  due: number;
  dueBytes: number;
  /** For how long the one that has been due the longest has been. */
  lateMs: number;
  /** Since the start. */
  compacted: number;
  givenUp: number;
  failed: number;
  deleted: number;
}

/** Runs of a compactor, one at a time. */
export class CompactorRuns {
  readonly state: CompactorState = { running: false, due: 0, dueBytes: 0, lateMs: 0, compacted: 0, givenUp: 0, failed: 0, deleted: 0 };
  readonly #deps: CompactorDeps;
  readonly #blobs: BlobStore;
  readonly #world: World;
  readonly #instruments: Instruments;
  readonly #metrics: CompactorMetrics;
  readonly #pace: IdlePace;
  /** In what goes through storage as a whole. */
  readonly #giveWay: () => Promise<void>;
  readonly #surveyor: Surveyor;
  readonly #signal: AbortSignal;
  readonly #damaged: DamagedParts;
  #run: Promise<CompactorReply['compact']> | undefined;

  constructor(deps: CompactorDeps, { world, instruments, incarnation }: StartContext) {
    this.#deps = deps;
    this.#blobs = incarnation.fence(deps.blobs);
    this.#world = world;
    this.#instruments = instruments;
    this.#metrics = compactorMetrics(instruments);
    this.#metrics.running.set(1);
    this.#signal = incarnation.signal;
    this.#pace = new IdlePace(world, incarnation.signal, deps.busy);
    this.#damaged = new DamagedParts(world.clock);
    // A survey mostly waits for storage, which is no work.
    const slices = new Turns(world).begin(incarnation.signal);
    this.#giveWay = () => slices.giveWay();
    this.#surveyor = new Surveyor(this.#blobs, world.clock, instruments.log, this.#giveWay);
  }

  /** Compacts and deletes until nothing is left that can be done now. A call during a run waits for its end and runs again. Throws what the store throws, after
   *  all else was done. */
  async run(): Promise<CompactorReply['compact']> {
    while (this.#run !== undefined) await this.#run.catch(() => {});
    this.#run = this.#measured().finally(() => {
      this.#run = undefined;
    });
    return this.#run;
  }

  async #measured(): Promise<CompactorReply['compact']> {
    const { clock } = this.#world;
    const startedMs = clock.monotonicMs();
    this.state.running = true;
    try {
      const done = await this.#untilNothingIsLeft();
      this.#metrics.operations.add(1, { status: 'success' });
      this.#metrics.lastSuccess.set(clock.nowMs() / 1000);
      return done;
    } catch (error) {
      this.#metrics.operations.add(1, { status: 'failure' });
      throw error;
    } finally {
      this.state.running = false;
      this.#metrics.seconds.set((clock.monotonicMs() - startedMs) / 1000);
    }
  }

  async #untilNothingIsLeft(): Promise<CompactorReply['compact']> {
    const errors: unknown[] = [];
    const tried = new Set<string>();
    const before = { ...this.state };
    for (;;) {
      const survey = await this.#surveyor.survey();
      await this.#collect(survey, tried, errors);
      const plans = (await this.#due(survey)).filter((plan) => !tried.has(nameOf(plan)));
      if (plans.length === 0) break;
      for (const [index, plan] of plans.entries()) {
        // What takes too long by its survey is given up, so the later ones get a new one; the first is tried in any case, so that every round ends with less.
        if (index > 0 && this.#world.clock.monotonicMs() - survey.startedMs > this.#graceMs / 4) break;
        tried.add(nameOf(plan));
        await this.#compact(plan, survey).catch((error) => {
          this.#signal.throwIfAborted();
          errors.push(error);
        });
      }
    }
    for (const error of errors) throw error;
    return { compacted: this.state.compacted - before.compacted, deleted: this.state.deleted - before.deleted };
  }

  /** What is due, the largest first. */
  async #due({ days, unreadable }: StorageSurvey): Promise<PlannedCompaction[]> {
    this.#damaged.keepOnly(days);
    this.#metrics.damaged.set(unreadable + this.#damaged.objects);
    const { segmentSize: segmentBytes, levelZeroAge: levelZeroAgeMs } = this.#deps.options;
    const isDamaged = (part: PartName): boolean => this.#damaged.has(part);
    const options = { segmentBytes, levelZeroAgeMs, nowMs: this.#world.clock.nowMs(), isDamaged };
    const due: PlannedCompaction[] = [];
    let levelZeroBytes = 0;
    for (const day of days) {
      await this.#giveWay();
      const plan = dueCompaction(day, options);
      if (plan !== undefined) due.push(plan);
      for (const { storedBytes } of day.levelZero) levelZeroBytes += storedBytes;
    }
    this.state.due = due.length;
    this.state.dueBytes = due.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    this.state.lateMs = due.reduce((most, { dueSinceMs }) => Math.max(most, options.nowMs - dueSinceMs), 0);
    this.#pace.share = shareWhenLate(this.state.lateMs);
    this.#metrics.due.set(due.length);
    this.#metrics.late.set(this.state.lateMs / 1000);
    this.#metrics.levelZeroBytes.set(levelZeroBytes);
    return due.sort((a, b) => b.storedBytes - a.storedBytes);
  }

  get #graceMs(): number {
    return Math.max(this.#deps.options.deletionDelay, 2 * this.#deps.recentObjectsMs());
  }

  async #compact(plan: PlannedCompaction, survey: StorageSurvey): Promise<void> {
    const { tenant, day, parts } = plan;
    const { clock } = this.#world;
    const beganMs = clock.monotonicMs();
    try {
      const outcome = await compact(plan, this.#known(survey), {
        blobs: this.#blobs,
        world: this.#world,
        surveyor: this.#surveyor,
        giveWay: this.#pace.giveWay,
        filters: { leastLineBytes: this.#deps.options.filteredSize },
        mostAgeMs: this.#graceMs / 2,
      });
      this.#tellOf(outcome, { tenant, day, parts: parts.length, ms: Math.round(clock.monotonicMs() - beganMs) });
    } catch (error) {
      this.#signal.throwIfAborted();
      this.state.failed++;
      this.#metrics.compactions.add(1, { outcome: 'failed' });
      if (this.#leftOut(plan, error)) throw asFault(error);
    }
  }

  /** Sees to it that what cannot be merged does not hold its day up, and tells of it; returns whether it is news. */
  #leftOut({ tenant, day, parts }: PlannedCompaction, error: unknown): boolean {
    const { log } = this.#instruments;
    if (error instanceof DamagedObject) {
      const fields = { tenant, day, key: error.key, error: error.message };
      if (!error.isCertain && !this.#damaged.failed(fields)) {
        log.warn('object cannot be read', fields);
        return true;
      }
      const isNews = this.#damaged.add(fields);
      if (isNews) log.error('object is damaged, it is left out of compaction', fields);
      return isNews;
    }
    // Tried again at once it would fail again, and what is due beside it would never have its turn.
    const leftOut = !(error instanceof Fault) || error.code === 'internal' || error.code === 'limit_exceeded';
    const keys = parts.map(({ key }) => key);
    if (leftOut) for (const key of keys) this.#damaged.add({ tenant, day, key });
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error('compaction failed', { tenant, day, keys: keys.join(' '), leftOut, error: reason });
    return true;
  }

  #known({ startedMs, levelZero, live }: StorageSurvey): { startedMs: number; floors: ReadonlyMap<string, number> } {
    return { startedMs, floors: floors({ levelZero, live, nowMs: startedMs, graceMs: this.#graceMs }) };
  }

  #tellOf(outcome: CompactOutcome, fields: Record<string, unknown>): void {
    this.#metrics.compactions.add(1, { outcome: outcome.kind });
    if (outcome.kind === 'given_up') {
      this.state.givenUp++;
      this.#instruments.log.info('compaction given up', { ...fields, reason: outcome.reason });
      return;
    }
    const { key, fetchedBytes, storedBytes, duplicates } = outcome;
    this.state.compacted++;
    this.#metrics.readBytes.add(fetchedBytes);
    this.#metrics.writtenBytes.add(storedBytes);
    this.#metrics.duplicates.add(duplicates);
    this.#instruments.log.info('compacted', { ...fields, key, stored_bytes: storedBytes, duplicates });
  }

  /** Deletes what can be, but for what was tried before. An object that cannot be deleted goes on to be one that does not count: the segment that stands for it names it,
   *  and so does whatever is made from that. */
  async #collect(survey: StorageSurvey, tried: Set<string>, errors: unknown[]): Promise<void> {
    for (const keys of garbage(survey, this.#graceMs)) {
      await this.#giveWay();
      for (const key of keys) {
        if (tried.has(key)) continue;
        try {
          await this.#blobs.delete(key);
          this.state.deleted++;
          this.#metrics.deleted.add(1);
        } catch (error) {
          this.#signal.throwIfAborted();
          tried.add(key);
          errors.push(asFault(error));
        }
        await this.#pace.giveWay();
      }
    }
  }
}

const nameOf = ({ tenant, day, parts }: PlannedCompaction): string => `${day} ${tenant} ${parts.map(({ key }) => key)}`;
