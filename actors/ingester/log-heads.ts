import { Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Batch } from '../../storage/batch/batch.ts';
import { readPushRecord } from '../../storage/batch/push-record.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { LogGap, LogRecord, Position, TrimmedLog } from '../../storage/log/ingest-log.ts';
import type { Chain } from '../../storage/segment/chain.ts';
import type { StartContext } from '../kernel/define.ts';
import type { LogCover, LogPlace } from '../protocol/ingest.ts';
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

/** Told of the batches of each record once they are in the heads, and where the record is; borrowed for the call. Must not throw. */
export type AppliedListener = (place: LogPlace, tenant: string, batches: Buffer) => void;

export interface LogHeadsDeps {
  readonly blobs: BlobStore;
  readonly options: LogHeadsOptions;
  /** Ends what waits. */
  readonly signal: AbortSignal;
  /** What is here can neither grow nor be stored: whoever has the log next reads it from there again. */
  readonly fail: (error: unknown) => void;
  /** Makes the log longer by a record that says nothing. Absent: others do. */
  readonly prolong?: () => Promise<void>;
  /** Told before records below `to` are stored: whoever reads the log next begins behind them. */
  readonly stores?: (to: Position) => void;
}

/** Where heads begin. */
export interface LogHeadsStart {
  readonly chain: Pick<Chain, 'end' | 'lastMs' | 'newest' | 'isBroken'>;
  /** Of the log, now. */
  readonly end: Position;
}

/** The heads that the records of one ingest log filled, and its chain of level-0 objects.
 *
 *  Invariant: every record below `flushedTo` is in the chain, every record in [flushedTo, appliedTo) is in `flushing` or `current`, and no record is trimmed
 *  before the object that holds it is durable.
 *
 *  Behind a broken chain the records from its end on are read into `current` too, though `flushedTo` is the log's end at the start: the next object holds them, under a
 *  name that no object has had, so that no segment stands for it. */
export class LogHeads {
  readonly log: TrimmedLog;
  /** Whether records are read that were taken in before. */
  isReplaying = false;
  readonly #world: World;
  readonly #instruments: Instruments;
  readonly #deps: LogHeadsDeps;
  readonly #options: LogHeadsOptions;
  #current = new HeadSet();
  #flushing: HeadSet | undefined;
  readonly #isBroken: boolean;
  readonly #endAtStart: Position;
  #flushedTo: Position;
  /** Every record below it is in the chain: `flushedTo`, but for what was read behind a broken chain and is not flushed yet. */
  #storedTo: Position;
  #appliedTo: Position;
  #lastMs: number | undefined;
  #firstEntryMs: number | undefined;
  #recent: { key: string; atMs: number }[] = [];
  #flush: Promise<number> | undefined;

  constructor(
    log: TrimmedLog,
    { chain, end }: LogHeadsStart,
    deps: LogHeadsDeps,
    { world, instruments }: Pick<StartContext, 'world' | 'instruments'>,
  ) {
    this.log = log;
    this.#isBroken = chain.isBroken;
    this.#endAtStart = end;
    this.#flushedTo = chain.isBroken ? Math.max(chain.end, end) : chain.end;
    this.#storedTo = chain.end;
    this.#appliedTo = chain.end;
    this.#lastMs = chain.lastMs;
    this.#deps = deps;
    this.#options = deps.options;
    this.#world = world;
    this.#instruments = instruments;
    // An earlier incarnation may have put it just now, so that a querier's listing lacks it. A listing that has it has those before it.
    if (chain.newest !== undefined) this.#recent.push({ key: chain.newest, atMs: world.clock.monotonicMs() });
  }

  /** Head sets that hold entries, oldest first. */
  sets(): HeadSet[] {
    return this.#flushing === undefined ? [this.#current] : [this.#flushing, this.#current];
  }

  /** About what its heads take in memory. */
  get bytes(): number {
    return this.#current.memoryBytes + (this.#flushing?.memoryBytes ?? 0);
  }

  /** How much larger its heads may become before a flush than `flushBytes`, as they are of so many streams. */
  get roomForStreams(): number {
    const { flushBytes } = this.#options;
    return this.#current.dueBytes(flushBytes) - flushBytes;
  }

  get isFlushing(): boolean {
    return this.#flush !== undefined;
  }

  get full(): boolean {
    return this.bytes >= Math.max(this.#options.ceilingBytes, CEILING_RATIO * this.#current.dueBytes(this.#options.flushBytes));
  }

  /** Records below it are in the heads or in the chain. */
  get appliedTo(): Position {
    return this.#appliedTo;
  }

  /** When the log took in the record before `appliedTo`; undefined where it does not say. */
  get lastMs(): number | undefined {
    return this.#lastMs;
  }

  /** Records below it are in the chain. */
  get storedTo(): Position {
    return this.#storedTo;
  }

  cover(): LogCover {
    const oldest = this.#world.clock.monotonicMs() - this.#options.recentObjectsMs();
    if (this.#recent.length > 0 && this.#recent[0].atMs < oldest) this.#recent = this.#recent.filter(({ atMs }) => atMs >= oldest);
    return { log: this.log.id, flushedTo: this.#flushedTo, recentObjects: this.#recent.map(({ key }) => key) };
  }

  /** Makes the batches of the record at `position`, the next one, visible. Throws Fault internal if it is another one's turn. */
  apply(position: Position, tenant: string, batches: Iterable<Batch>): void {
    if (position !== this.#appliedTo) throw new Fault('internal', `record ${position} applied out of turn, expected ${this.#appliedTo}`);
    for (const batch of batches) this.#current.append(tenant, batch);
    this.#firstEntryMs ??= this.#world.clock.monotonicMs();
    this.#appliedTo = position + 1;
  }

  /** Takes in what the log has next, as it is read; what is missing before it, or cannot be read, is told of as lost. */
  take(item: LogRecord | LogGap): void {
    this.missing(item.kind === 'gap' ? item.from : item.position);
    if (item.kind === 'record') this.#lastMs = item.timeMs;
    if (item.kind === 'gap') {
      this.#lost(item.from, item.to, item.lostBytes, item.reason);
      this.#appliedTo = item.to;
      return;
    }
    try {
      const { tenant, batches } = readPushRecord(item.bytes);
      this.apply(item.position, tenant, batches);
    } catch (error) {
      // Its checksum is right, so it will never be read better: a start that gives up here would be the end of all starts.
      if (!(error instanceof Fault) || error.code !== 'corrupt') throw error;
      this.#lost(item.position, item.position + 1, item.bytes.length, error.message);
      this.#appliedTo = item.position + 1;
    }
  }

  /** Resolves once no listing that a query goes by lacks an object of this log. */
  async listed(): Promise<void> {
    const newest = this.#recent.at(-1);
    if (newest === undefined) return;
    const leftMs = newest.atMs + this.#options.recentObjectsMs() - this.#world.clock.monotonicMs();
    if (leftMs > 0) await this.#world.timers.sleep(leftMs, this.#deps.signal);
  }

  /** The log goes on at `from`: it is read from the oldest record kept, and only what is in storage was ever trimmed. */
  missing(from: Position): void {
    if (from <= this.#appliedTo) return;
    // An object that had them may have been deleted, and segments may stand for it: its name must not be used again.
    if (this.#appliedTo === this.#flushedTo && this.#current.rows === 0) this.#flushedTo = Math.max(from, this.#endAtStart);
    const reason = this.#isBroken
      ? 'the object that had them was given up, cannot be read or is gone: of them only what was compacted before is found'
      : 'neither the log nor storage has them';
    this.#lost(this.#appliedTo, from, 0, reason);
    this.#appliedTo = from;
  }

  /** Tells of records [from, to) that cannot be read. */
  #lost(from: Position, to: Position, lostBytes: number, reason: string): void {
    this.#instruments
      .counter('millrace_ingest_log_lost_records_total', 'Records of an ingest log that replay could not read.')
      .add(to - from);
    const fields = { log: this.log.id, from, to, lost_records: to - from, lost_bytes: lostBytes, reason };
    this.#instruments.log.error('ingest log is damaged: records are lost', fields);
  }

  /** Starts a flush if the heads are large or old enough and none is running. To be called now and then too: they grow old though nothing is pushed any more. */
  flushIfDue(): void {
    // What others write may hold nothing: that it was read has to be stored too, before it is deleted there.
    const isNothing = this.#deps.prolong === undefined ? this.#appliedTo <= this.#flushedTo : this.#current.rows === 0;
    if (this.#flush !== undefined || isNothing) return;
    const age = this.#world.clock.monotonicMs() - (this.#firstEntryMs ?? 0);
    const isLarge = this.#current.memoryBytes >= this.#current.dueBytes(this.#options.flushBytes);
    if (!isLarge && age < this.#options.maxHeadAgeMs) return;
    this.flush().catch(() => {}); // told to the supervisor by then
  }

  /** Puts everything applied so far into storage; resolves with the number of objects written. One flush runs at a time. */
  async flush(): Promise<number> {
    while (this.#flush !== undefined) await this.#flush;
    if (this.#appliedTo <= this.#flushedTo) {
      const { prolong } = this.#deps;
      if (prolong === undefined || this.isReplaying || this.#current.rows === 0) return 0;
      await prolong(); // the object needs a record behind the position that it is named by
      return this.flush();
    }
    const flush = this.#flushCurrent();
    this.#flush = flush;
    try {
      return await flush;
    } catch (error) {
      // The frozen heads are neither stored nor growing. #flush stays set, so nobody cuts over them; the next incarnation replays them from the log.
      this.#deps.fail(error);
      throw error;
    }
  }

  async #flushCurrent(): Promise<number> {
    const set = this.#current;
    const from = this.#flushedTo;
    const to = this.#appliedTo;
    const lastMs = this.#lastMs;
    this.#deps.stores?.(to);
    this.#flushing = set;
    this.#current = new HeadSet(set);
    this.#firstEntryMs = undefined;
    const started = this.#world.clock.monotonicMs();
    const object = await writeObject(set, { log: this.log.id, from, to, lastMs }, this.#world);
    await putObject(this.#deps.blobs, object, { world: this.#world, instruments: this.#instruments, signal: this.#deps.signal });
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
