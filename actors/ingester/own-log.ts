import { release } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { type Batch, batchesIn } from '../../storage/batch/batch.ts';
import { pushRecordHeader, readPushRecord } from '../../storage/batch/push-record.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import type { IngestLog, Position } from '../../storage/log/ingest-log.ts';
import type { Chain } from '../../storage/segment/chain.ts';
import type { Incarnation, StartContext } from '../kernel/define.ts';
import { type AppliedListener, LogHeads, type LogHeadsOptions } from './log-heads.ts';

const NOTHING = Buffer.alloc(0);

/** A log of the ingester's own, that it appends to, and its heads. */
export class OwnLog {
  readonly log: IngestLog;
  readonly heads: LogHeads;
  readonly #incarnation: Incarnation;
  readonly #applied: AppliedListener | undefined;

  constructor(
    log: IngestLog,
    chain: Pick<Chain, 'end' | 'newest' | 'isBroken'>,
    { blobs, options, applied }: { blobs: BlobStore; options: LogHeadsOptions; applied?: AppliedListener },
    context: StartContext,
  ) {
    const { incarnation } = context;
    this.log = log;
    this.#incarnation = incarnation;
    this.#applied = applied;
    this.heads = new LogHeads(
      log,
      { chain, end: log.end },
      {
        blobs,
        options,
        signal: incarnation.signal,
        fail: (error) => incarnation.fail(error),
        prolong: () => this.push('', Buffer.alloc(0)),
      },
      context,
    );
  }

  get appliedTo(): Position {
    return this.heads.appliedTo;
  }

  /** Makes `batches` durable, then visible. `batches`: whole batches end to end, given away: their memory is freed. `isKnown`: whoever listens was told of them elsewhere. */
  async push(tenant: string, batches: Buffer, isKnown = false): Promise<void> {
    const position = await this.log.append([pushRecordHeader(tenant), batches]);
    try {
      // Appends resolve in the order of their positions, so heads fill in that order and a cut at appliedTo is exact.
      this.heads.apply(position, tenant, batchesIn(batches));
    } catch (error) {
      // Durable but not visible, and no later record can be applied: the next incarnation reads them from the log.
      this.#incarnation.fail(error);
      throw error;
    }
    this.#applied?.({ log: this.log.id, position }, tenant, isKnown ? NOTHING : batches);
    release(batches);
    this.heads.flushIfDue();
  }

  /** Reads what the chain lacks from the log into heads, flushing on the way, and waiting for that only at the ceiling. `progress` is told each record. */
  async replay(progress: () => void): Promise<void> {
    const { heads } = this;
    heads.isReplaying = true;
    for await (const item of this.log.read(heads.appliedTo)) {
      this.#incarnation.check();
      heads.take(item);
      if (item.kind === 'gap') continue;
      progress();
      // Storage may be full or away: the start is not held up by it as long as memory lasts.
      heads.flushIfDue();
      if (heads.full) await heads.flush();
    }
    heads.missing(this.log.end);
    heads.isReplaying = false;
  }

  /** Every record that is in heads only, as it was pushed; borrowed until the next is asked for. What is flushed meanwhile may be left out. Throws Fault corrupt where the log does not have it. */
  async *unstored(): AsyncGenerator<{ readonly tenant: string; readonly batches: Iterable<Batch> }, void, void> {
    const { heads, log } = this;
    const unread = (from: Position): Fault => new Fault('corrupt', `ingest log ${log.id} cannot be read from record ${from} on`);
    let next = heads.storedTo;
    for await (const item of log.read(next)) {
      if ((item.kind === 'gap' ? item.to : item.position + 1) <= heads.storedTo) continue;
      if (item.kind === 'gap' || item.position > Math.max(next, heads.storedTo)) throw unread(next);
      yield readPushRecord(item.bytes);
      next = item.position + 1;
    }
    if (Math.max(next, heads.storedTo) < heads.appliedTo) throw unread(next);
  }
}
