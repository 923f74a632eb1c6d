import { lengthOf } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Instruments } from '../../ops/base/instruments.ts';
import { within } from '../../ops/base/within.ts';
import type { World } from '../../ops/base/world.ts';
import { UnsentError, type WriteFailure, writeFailure } from '../kafka/failures.ts';
import type { LogWriter, Position } from './ingest-log.ts';

export interface PartitionWriterOptions {
  /** Of the partition, in words and metrics. */
  readonly name: string;
  /** Puts records into the partition, one after the other and as one batch; resolves with the position of the first once all copies have them. `alone`: not in a request with others. */
  readonly send: (records: readonly Uint8Array[], alone: boolean) => Promise<Position>;
  readonly world: World;
  readonly instruments: Instruments;
  readonly maxRecordBytes: number;
  /** How long an append waits. */
  readonly timeoutMs: number;
  /** A record that says nothing: whether Kafka takes it again is tried with it. */
  readonly probe: Uint8Array;
}

interface Append {
  readonly bytes: Uint8Array;
  readonly resolve: (position: Position) => void;
  readonly reject: (fault: Fault) => void;
  readonly stopClock: () => void;
  isSettled: boolean;
  /** A broker has refused it that may have had it before: see writeFailure. */
  mayBeThere: boolean;
}

/** Records of one request, beyond the first. */
const GROUP_BYTES = 512 * 1024;
/** What comes in within it shares a request. */
const LINGER_MS = 2;
const RETRY_MS = 50;
/** While Kafka does not answer, it is asked so often whether it does. */
const PROBE_MS = 500;
const RETRY_AFTER_S = 1;

/** Writes to one Kafka partition, with one request under way: while that is answered the next group of records gathers. An append has three outcomes: it is durable, it is not there (unavailable,
 *  too_large), or nobody knows (in_doubt): then the record is there once, or never, and who appends it again may make it twice. After one in doubt nothing is sent before Kafka has taken a
 *  probe; what comes in meanwhile is refused at once. */
export class PartitionWriter implements LogWriter {
  readonly #options: PartitionWriterOptions;
  #waiting: Append[] = [];
  /** In the request that is under way: what becomes of it is not known. */
  #sent: readonly Append[] = [];
  #working: Promise<void> | undefined;
  /** Why nothing is sent. */
  #broken: string | undefined;
  readonly #closed = new AbortController();

  constructor(options: PartitionWriterOptions) {
    this.#options = options;
  }

  /** Why appends are refused; undefined: they are not. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** `parts` are copied at once. */
  append(parts: readonly Uint8Array[]): Promise<Position> {
    return new Promise((resolve, reject) => {
      const { name, world, maxRecordBytes, timeoutMs } = this.#options;
      if (this.#closed.signal.aborted) throw new Fault('unavailable', `${name} is closed`);
      if (this.#broken !== undefined) throw unavailable(this.#broken);
      const sizeBytes = lengthOf(parts);
      if (sizeBytes > maxRecordBytes)
        throw new Fault('too_large', `ingest log record of ${sizeBytes} bytes is over the limit of ${maxRecordBytes} bytes`);
      const append: Append = {
        bytes: Buffer.concat(parts),
        resolve,
        reject,
        stopClock: world.timers.after(timeoutMs, () => this.#overdue(append)),
        isSettled: false,
        mayBeThere: false,
      };
      this.#waiting.push(append);
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    const { timers } = this.#options.world;
    await timers.sleep(LINGER_MS);
    while (this.#waiting.length > 0) await this.#send(this.#nextGroup());
    this.#working = undefined;
  }

  #nextGroup(): Append[] {
    let [count, sizeBytes] = [0, 0];
    while (count < this.#waiting.length) {
      sizeBytes += this.#waiting[count].bytes.length;
      if (count > 0 && sizeBytes > GROUP_BYTES) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** Resolves once the group's appends have settled, and Kafka takes more. */
  async #send(group: readonly Append[]): Promise<void> {
    const { name, send, instruments } = this.#options;
    this.#sent = group;
    try {
      const first = await send(
        group.map(({ bytes }) => bytes),
        false,
      );
      for (const [index, append] of group.entries()) settle(append, () => append.resolve(first + index));
      this.#count('done', group.length);
    } catch (error) {
      const failure = writeFailure(error);
      const { message } = error as Error;
      this.#count(failure, group.length);
      const level = failure === 'moved' ? 'debug' : 'warn';
      instruments.log[level]('Kafka did not take records', { partition: name, records: group.length, outcome: failure, error: message });
      await this.#failed(group, failure, error as Error);
    } finally {
      this.#sent = [];
    }
    if (this.#broken !== undefined) await this.#mend();
  }

  async #failed(group: readonly Append[], failure: WriteFailure, error: Error): Promise<void> {
    const { message } = error;
    const isUnsent = error instanceof UnsentError;
    if (failure === 'refused') {
      const refused = new Fault('unavailable', `Kafka refuses the record: ${message}`);
      for (const append of group) refuse(append, message, refused);
    } else if (failure === 'in_doubt') {
      this.#break(`Kafka does not answer: ${message}`);
      for (const append of group) settle(append, () => append.reject(inDoubt(message)));
    } else {
      // Until its time is over it may be sent again, before all that came later.
      this.#sent = [];
      if (!isUnsent) for (const append of group) append.mayBeThere = true;
      this.#waiting.unshift(...group.filter(({ isSettled }) => !isSettled));
      await this.#options.world.timers.sleep(RETRY_MS);
    }
  }

  /** Its time is over. */
  #overdue(append: Append): void {
    const { timeoutMs } = this.#options;
    const isSent = append.mayBeThere || this.#sent.includes(append);
    this.#waiting = this.#waiting.filter((other) => other !== append);
    this.#break(`Kafka has not taken a record for ${timeoutMs} ms`);
    settle(append, () =>
      append.reject(isSent ? inDoubt(`no answer for ${timeoutMs} ms`) : unavailable(`Kafka has not taken it within ${timeoutMs} ms`)),
    );
    if (isSent) this.#count('overdue', 1);
  }

  /** What waits, and what comes, is refused. */
  #break(why: string): void {
    const { name, instruments } = this.#options;
    if (this.#broken === undefined)
      instruments.log.warn('pushes to a partition are refused until Kafka takes them again', { partition: name, why });
    this.#broken ??= why;
    for (const append of this.#waiting.splice(0)) refuse(append, why, unavailable(why));
  }

  /** Resolves once Kafka takes records again, or this is closed: then nothing waits any more. */
  async #mend(): Promise<void> {
    const { name, send, probe, world, instruments } = this.#options;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await send([probe], true);
        break;
      } catch (error) {
        this.#broken = `Kafka does not answer: ${(error as Error).message}`;
        await world.timers.sleep(PROBE_MS * (0.75 + world.random.next() / 2), signal).catch(() => {});
      }
    }
    if (signal.aborted) {
      for (const append of this.#waiting.splice(0)) refuse(append, 'it stops', signal.reason);
      return;
    }
    this.#broken = undefined;
    instruments.log.info('Kafka takes records of a partition again', { partition: name });
  }

  #count(outcome: string, records: number): void {
    this.#options.instruments
      .counter('millrace_kafka_produced_records_total', 'Records written to the ingest topic, by what became of them.', ['outcome'])
      .add(records, { outcome });
  }

  /** Kafka may be silent for longer than appends wait. */
  async close(): Promise<void> {
    const { name, world, timeoutMs } = this.#options;
    this.#closed.abort(new Fault('unavailable', `${name} is closed`));
    if (this.#working === undefined) return;
    await within(world.timers, timeoutMs, this.#working);
  }
}

function settle(append: Append, how: () => void): void {
  if (append.isSettled) return;
  append.isSettled = true;
  append.stopClock();
  how();
}

/** What is not under way is not there, unless it was before. */
function refuse(append: Append, why: string, fault: Fault): void {
  settle(append, () => append.reject(append.mayBeThere ? inDoubt(why) : fault));
}

function unavailable(message: string): Fault {
  return new Fault('unavailable', message, { retryAfterS: RETRY_AFTER_S });
}

function inDoubt(message: string): Fault {
  return new Fault('in_doubt', `Kafka may have taken it or not: ${message}`, { retryAfterS: RETRY_AFTER_S });
}
