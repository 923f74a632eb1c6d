import { release } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { type Batch, batchesIn } from '../../storage/batch/batch.ts';
import { pushRecordHeader, readPushRecord } from '../../storage/batch/push-record.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { IngestLog, Position } from '../../storage/log/ingest-log.ts';
import type { Chain } from '../../storage/segment/chain.ts';
import type { Incarnation, StartContext } from '../kernel/define.ts';
import type { LogCover } from '../protocol/ingest.ts';
import { putObject, writeObject } from './flush.ts';
import { HeadSet } from './head-set.ts';

export interface LogHeadsOptions {
  /** Memory of heads at which a flush begins, bytes; of many streams see HeadSet.dueBytes. */
  readonly flushBytes: number;
  /** A flush begins this long after the first entry since the last. */
  readonly maxHeadAgeMs: number;
  /** Beyond this many bytes in heads (storage is away, or slower than the pushes) pushes are refused and replay waits. */
  readonly ceilingBytes: number;
  /** How long a flushed object is named in replies: longer than a catalogue's listing may be old plus the longest query. */
  readonly recentObjectsMs: () => number;
}

/** Heads may grow to this many times what is flushed at once: they do while a flush is under way. */
const CEILING_RATIO = 2.5;
const NOTHING = Buffer.alloc(0);

/** Told of the batches of each push once they are in the heads, with the position behind their record; borrowed for the call. Must not throw. */
export type AppliedListener = (tenant: string, batches: Buffer, next: Position) => void;

/** One ingest log, the heads that its records filled, and its chain of level-0 objects.
 *
 *  Invariant: every record below `flushedTo` is in the chain, every record in [flushedTo, appliedTo) is in `flushing` or `current`, and no record is trimmed
 *  before the object that holds it is durable.
 *
 *  Behind a broken chain the records from its end on are read into `current` too, though `flushedTo` is the log's end at the start: the next object holds them, under a
 *  name that no object has had, so that no segment stands for it. */
export class LogHeads {
  readonly log: IngestLog;
  readonly #blobs: BlobStore;
  readonly #world: World;
  readonly #instruments: Instruments;
  readonly #options: LogHeadsOptions;
  readonly #incarnation: Incarnation;
  readonly #applied: AppliedListener | undefined;
  #current = new HeadSet();
  #flushing: HeadSet | undefined;
  readonly #isBroken: boolean;
  #flushedTo: Position;
  /** Every record below it is in the chain: `flushedTo`, but for what was read behind a broken chain and is not flushed yet. */
  #storedTo: Position;
  #appliedTo: Position;
  #isReplaying = false;
  #firstEntryMs: number | undefined;
  #recent: { key: string; atMs: number }[] = [];
  #flush: Promise<number> | undefined;

  constructor(
    log: IngestLog,
    chain: Pick<Chain, 'end' | 'newest' | 'isBroken'>,
    deps: { blobs: BlobStore; options: LogHeadsOptions; applied?: AppliedListener },
    context: StartContext,
  ) {
    this.log = log;
    this.#isBroken = chain.isBroken;
    this.#flushedTo = chain.isBroken ? Math.max(chain.end, log.end) : chain.end;
    this.#storedTo = chain.end;
    this.#appliedTo = chain.end;
    this.#blobs = deps.blobs;
    this.#options = deps.options;
    this.#world = context.world;
    this.#instruments = context.instruments;
    this.#incarnation = context.incarnation;
    this.#applied = deps.applied;
    // An earlier incarnation may have put it just now, so that a querier's listing lacks it. A listing that has it has those before it.
    if (chain.newest !== undefined) this.#recent.push({ key: chain.newest, atMs: context.world.clock.monotonicMs() });
  }

  /** Head sets that hold entries, oldest first. */
  sets(): HeadSet[] {
    return this.#flushing === undefined ? [this.#current] : [this.#flushing, this.#current];
  }

  /** About what its heads take in memory. */
  get bytes(): number {
    return this.#current.memoryBytes + (this.#flushing?.memoryBytes ?? 0);
  }

  get full(): boolean {
    return this.bytes >= Math.max(this.#options.ceilingBytes, CEILING_RATIO * this.#current.dueBytes(this.#options.flushBytes));
  }

  get appliedTo(): Position {
    return this.#appliedTo;
  }

  cover(): LogCover {
    const oldest = this.#world.clock.monotonicMs() - this.#options.recentObjectsMs();
    if (this.#recent.length > 0 && this.#recent[0].atMs < oldest) this.#recent = this.#recent.filter(({ atMs }) => atMs >= oldest);
    return { log: this.log.id, flushedTo: this.#flushedTo, recentObjects: this.#recent.map(({ key }) => key) };
  }

  /** Makes `batches` durable, then visible. `batches`: whole batches end to end, given away: their memory is freed. `isKnown`: whoever listens was told of them elsewhere. */
  async push(tenant: string, batches: Buffer, isKnown = false): Promise<void> {
    const position = await this.log.append([pushRecordHeader(tenant), batches]);
    try {
      // Appends resolve in the order of their positions, so heads fill in that order and a cut at appliedTo is exact.
      if (position !== this.#appliedTo) throw new Fault('internal', `record ${position} applied out of turn, expected ${this.#appliedTo}`);
      this.#apply(tenant, batchesIn(batches));
    } catch (error) {
      // Durable but not visible, and no later record can be applied: the next incarnation reads them from the log.
      this.#incarnation.fail(error);
      throw error;
    }
    this.#appliedTo = position + 1;
    this.#applied?.(tenant, isKnown ? NOTHING : batches, this.#appliedTo);
    release(batches);
    this.#flushIfDue();
  }

  /** Every record that is in heads only, as it was pushed; borrowed until the next is asked for. What is flushed meanwhile may be left out. Throws Fault corrupt where the log does not have it. */
  async *unstored(): AsyncGenerator<{ readonly tenant: string; readonly batches: Iterable<Batch> }, void, void> {
    const unread = (from: Position): Fault => new Fault('corrupt', `ingest log ${this.log.id} cannot be read from record ${from} on`);
    let next = this.#storedTo;
    for await (const item of this.log.read(next)) {
      if ((item.kind === 'gap' ? item.to : item.position + 1) <= this.#storedTo) continue;
      if (item.kind === 'gap' || item.position > Math.max(next, this.#storedTo)) throw unread(next);
      yield readPushRecord(item.bytes);
      next = item.position + 1;
    }
    if (Math.max(next, this.#storedTo) < this.#appliedTo) throw unread(next);
  }

  /** Resolves once no listing that a query goes by lacks an object of this log. */
  async listed(): Promise<void> {
    const newest = this.#recent.at(-1);
    if (newest === undefined) return;
    const leftMs = newest.atMs + this.#options.recentObjectsMs() - this.#world.clock.monotonicMs();
    if (leftMs > 0) await this.#world.timers.sleep(leftMs, this.#incarnation.signal);
  }

  /** Reads what the chain lacks from the log into heads, flushing on the way, and waiting for that only at the ceiling. `progress` is told each record. */
  async replay(progress: () => void): Promise<void> {
    this.#isReplaying = true;
    for await (const item of this.log.read(this.#appliedTo)) {
      this.#incarnation.check();
      this.#missing(item.kind === 'gap' ? item.from : item.position);
      if (item.kind === 'gap') {
        this.#lost(item.from, item.to, item.lostBytes, item.reason);
        this.#appliedTo = item.to;
        continue;
      }
      try {
        const { tenant, batches } = readPushRecord(item.bytes);
        this.#apply(tenant, batches);
      } catch (error) {
        // Its checksum is right, so it will never be read better: a start that gives up here would be the end of all starts.
        if (!(error instanceof Fault) || error.code !== 'corrupt') throw error;
        this.#lost(item.position, item.position + 1, item.bytes.length, error.message);
      }
      this.#appliedTo = item.position + 1;
      progress();
      // Storage may be full or away: the start is not held up by it as long as memory lasts.
      this.#flushIfDue();
      if (this.full) await this.flush();
    }
    this.#missing(this.log.end);
    this.#appliedTo = this.log.end;
    this.#isReplaying = false;
  }

  /** The log goes on at `from`: it is read from the oldest record kept, and only what is in storage was ever trimmed. */
  #missing(from: Position): void {
    if (from <= this.#appliedTo) return;
    // An object that had them may have been deleted, and segments may stand for it: its name must not be used again.
    if (this.#appliedTo === this.#flushedTo && this.#current.rows === 0) this.#flushedTo = this.log.end;
    const reason = this.#isBroken
      ? 'the object that had them was given up, cannot be read or is gone: of them only what was compacted before is found'
      : 'neither the log nor storage has them';
    this.#lost(this.#appliedTo, from, 0, reason);
  }

  /** Tells of records [from, to) that cannot be read. */
  #lost(from: Position, to: Position, lostBytes: number, reason: string): void {
    this.#instruments
      .counter('millrace_ingest_log_lost_records_total', 'Records of an ingest log that replay could not read.')
      .add(to - from);
    const fields = { log: this.log.id, from, to, lost_records: to - from, lost_bytes: lostBytes, reason };
    this.#instruments.log.error('ingest log is damaged: records are lost', fields);
  }

  #apply(tenant: string, batches: Iterable<Batch>): void {
    for (const batch of batches) this.#current.append(tenant, batch);
    this.#firstEntryMs ??= this.#world.clock.monotonicMs();
  }

  /** Starts a flush if the heads are large or old enough and none is running. */
  #flushIfDue(): void {
    if (this.#flush !== undefined || this.#current.rows === 0) return;
    const age = this.#world.clock.monotonicMs() - (this.#firstEntryMs ?? 0);
    const isLarge = this.#current.memoryBytes >= this.#current.dueBytes(this.#options.flushBytes);
    if (!isLarge && age < this.#options.maxHeadAgeMs) return;
    this.flush().catch(() => {}); // told to the supervisor by then
  }

  /** To be called now and then: flushes heads that are old though nothing is pushed any more. */
  tick(): void {
    this.#flushIfDue();
  }

  /** Puts everything applied so far into storage; resolves with the number of objects written. One flush runs at a time. */
  async flush(): Promise<number> {
    while (this.#flush !== undefined) await this.#flush;
    if (this.#appliedTo <= this.#flushedTo) {
      if (this.#isReplaying || this.#current.rows === 0) return 0;
      await this.push('', Buffer.alloc(0)); // the object needs a record behind the position that it is named by
      return this.flush();
    }
    const flush = this.#flushCurrent();
    this.#flush = flush;
    try {
      return await flush;
    } catch (error) {
      // The frozen heads are neither stored nor growing. #flush stays set, so nobody cuts over them; the next incarnation replays them from the log.
      this.#incarnation.fail(error);
      throw error;
    }
  }

  async #flushCurrent(): Promise<number> {
    const set = this.#current;
    const from = this.#flushedTo;
    const to = this.#appliedTo;
    this.#flushing = set;
    this.#current = new HeadSet(set);
    this.#firstEntryMs = undefined;
    const started = this.#world.clock.monotonicMs();
    const object = await writeObject(set, { log: this.log.id, from, to }, this.#world);
    await putObject(this.#blobs, object, { world: this.#world, instruments: this.#instruments, signal: this.#incarnation.signal });
    // One turn: whoever asks from now on is told of the object and no longer given its entries.
    this.#flushedTo = to;
    this.#storedTo = to;
    this.#recent.push({ key: object.key, atMs: this.#world.clock.monotonicMs() });
    this.#flushing = undefined;
    this.#flush = undefined;
    set.free();
    this.#instruments.log.info('flushed', {
      log: this.log.id,
      from,
      to,
      streams: set.streamCount,
      rows: set.rows,
      raw_bytes: set.lineBytes,
      stored_bytes: object.sizeBytes,
      ms: Math.round(this.#world.clock.monotonicMs() - started),
    });
    this.#instruments
      .counter('loki_ingester_chunks_flushed_total', 'Chunks flushed to storage.', ['reason'])
      .add(object.chunks, { reason: 'cut' });
    await this.log.trim(to).catch((error) => {
      // Nothing is lost by a log that stays long: the next flush trims again.
      this.#instruments.log.warn('ingest log could not be trimmed', { log: this.log.id, to, error: String(error) });
    });
    return 1;
  }
}
