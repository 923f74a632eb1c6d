import { MiB } from '../../ops/base/bytes.ts';
import { asFault, Fault, type FaultCode, faultFromWire } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { Asker } from '../kernel/define.ts';
import { type DistributorAsk, distributorProtocol, type PushOutcome } from '../protocol/ingest.ts';
import { writePush } from './push-writer.ts';
import type { Mapped, MappedBody, MappedRow, SourceRecord } from './record.ts';

/** A record that can never be taken, and why. */
export interface DeadLetter {
  readonly record: SourceRecord;
  readonly why: string;
}

export interface Delivered {
  /** Records whose entries are durable. */
  readonly taken: number;
  readonly dead: readonly DeadLetter[];
}

export interface DeliveryDeps {
  readonly asker: Asker;
  readonly world: World;
  /** Distributor instances, which are asked in turn. */
  readonly distributors: readonly string[];
  readonly map: (record: SourceRecord) => Mapped;
}

/** About how much is pushed at once. */
const PUSH_BYTES = MiB;
/** What an entry takes beside its line. */
const ENTRY_BYTES = 64;
/** Records that are requests themselves are sent so many at a time. */
const BODIES_AT_ONCE = 4;
const PUSH_TIMEOUT_MS = 30_000;
const BUGS: ReadonlySet<FaultCode> = new Set(['internal', 'corrupt', 'cancelled']);

interface Of<M extends Mapped> {
  readonly record: SourceRecord;
  readonly mapped: M;
}

/** Gives records to distributors. */
export class Delivery {
  readonly #deps: DeliveryDeps;
  #turn = 0;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** Resolves once every record's entries are durable, or are known never to be taken. Throws a retryable Fault if that is not known of some: then all of them are to be
   *  delivered again, which makes none of them twice. */
  async deliver(records: readonly SourceRecord[], signal: AbortSignal): Promise<Delivered> {
    const dead: DeadLetter[] = [];
    let bodies: Of<MappedBody>[] = [];
    const rows = new Map<string, { rows: Of<MappedRow>[]; bytes: number }>();
    const sendBodies = async (): Promise<void> => {
      const now = bodies;
      bodies = [];
      await Promise.all(now.map((body) => this.#sendBody(body, dead, signal)));
    };
    for (const record of records) {
      const mapped = this.#deps.map(record);
      if (mapped.kind === 'poison') dead.push({ record, why: mapped.why });
      else if (mapped.kind === 'body') {
        bodies.push({ record, mapped });
        if (bodies.length === BODIES_AT_ONCE) await sendBodies();
      } else {
        const group = rows.get(mapped.tenant) ?? { rows: [], bytes: 0 };
        rows.set(mapped.tenant, group);
        group.rows.push({ record, mapped });
        group.bytes += mapped.line.length + ENTRY_BYTES;
        if (group.bytes < PUSH_BYTES) continue;
        rows.delete(mapped.tenant);
        await this.#sendRows(group.rows, dead, signal);
      }
    }
    await sendBodies();
    for (const group of rows.values()) await this.#sendRows(group.rows, dead, signal);
    return { taken: records.length - dead.length, dead };
  }

  async #sendRows(rows: readonly Of<MappedRow>[], dead: DeadLetter[], signal: AbortSignal): Promise<void> {
    const [{ mapped }] = rows;
    const { body, order } = writePush(rows.map((row) => row.mapped));
    const { acceptedLines, fault, refused = [] } = await this.#push(mapped.tenant, { format: 'rows', body, contentType: '' }, signal);
    if (fault?.retry) throw fault;
    for (const { entry, reason, message } of refused) dead.push({ record: rows[order[entry]].record, why: `${reason}: ${message}` });
    // Beside those that are named there may be some that were let through, and were not taken further on.
    if (fault === undefined || acceptedLines + refused.length >= rows.length) return;
    if (rows.length === 1) {
      dead.push({ record: rows[0].record, why: fault.message });
      return;
    }
    // Who is to blame is one of those without a name; some of them may be taken already, which makes none of them twice.
    const named = new Set(refused.map(({ entry }) => order[entry]));
    const rest = rows.filter((_, at) => !named.has(at));
    const half = Math.ceil(rest.length / 2);
    for (const part of [rest.slice(0, half), rest.slice(half)]) if (part.length > 0) await this.#sendRows(part, dead, signal);
  }

  async #sendBody({ record, mapped }: Of<MappedBody>, dead: DeadLetter[], signal: AbortSignal): Promise<void> {
    const { format, contentType, timeMs } = mapped;
    // Its memory is moved to the distributor's thread.
    const body = Buffer.allocUnsafeSlow(mapped.body.length);
    mapped.body.copy(body);
    const { fault } = await this.#push(mapped.tenant, { format, body, contentType, timeMs }, signal);
    if (fault?.retry) throw fault;
    if (fault !== undefined) dead.push({ record, why: fault.message });
  }

  async #push(
    tenant: string,
    ask: Omit<DistributorAsk, 'kind' | 'contentEncoding'>,
    signal: AbortSignal,
  ): Promise<Omit<PushOutcome, 'fault'> & { fault?: Fault }> {
    const { asker, world, distributors } = this.#deps;
    const instance = distributors[this.#turn++ % distributors.length];
    const deadlineMs = world.clock.monotonicMs() + PUSH_TIMEOUT_MS;
    try {
      const outcome = await asker.ask(
        distributorProtocol,
        instance,
        { kind: 'push', contentEncoding: '', ...ask },
        { tenant, deadlineMs, signal, transfer: true },
      );
      const { fault, ...others } = outcome;
      return { ...others, ...(fault && { fault: aboutRecords(faultFromWire(fault)) }) };
    } catch (error) {
      signal.throwIfAborted();
      return { acceptedLines: 0, acceptedBytes: 0, fault: aboutRecords(asFault(error)) };
    }
  }
}

/** The fault; a retryable one in place of a bug's, of the distributor's or of who was behind it. Nothing that is wrong with records is called that, and it may pass. */
function aboutRecords(fault: Fault): Fault {
  return BUGS.has(fault.code) ? new Fault('unavailable', fault.message, { cause: fault }) : fault;
}
