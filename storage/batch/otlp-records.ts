import { formatLabels, type Label, toLabels } from '../../logql/model.ts';
import { Fault } from '../../ops/base/fault.ts';
import { sanitizeName } from './metadata-name.ts';
import { OtlpRoom, type OtlpValue, valueText } from './otlp-value.ts';
import { type PushSink, pushPair } from './push-sink.ts';

/** What becomes of attributes. */
export interface OtlpMapping {
  /** Resource attributes that become labels of the stream; all others become structured metadata. */
  readonly indexLabels: ReadonlySet<string>;
}

export interface OtlpOptions extends OtlpMapping {
  /** Wall clock: the time of records that have none. */
  readonly nowMs: number;
}

/** Names of attributes, clean, are remembered up to this many. */
const MAX_NAMES = 10_000;
const TWO_16 = 2 ** 16;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;
const EMPTY = Buffer.alloc(0);
/** Records without a time that one request may hold: they take two bytes there, and many more in a batch. */
const MAX_UNTIMED = 1_048_576;
/** Its attribute gives way to the record's field of that name. */
const EVENT_NAME = 'event_name';

/** Maps resources, scopes and log records to streams and entries as Loki does, and tells them to a sink. A reader of either encoding calls it in that order:
 *  a resource, its scopes, each followed by its records. Times are unsigned 64-bit numbers of nanoseconds in two halves; 0 is none.
 *  Methods throw Fault bad_request on attributes whose names hold no letter or digit or that are too many (OtlpRoom),
 *  and on too many records without a time; too_large as pushPair does. */
export class OtlpRecords {
  readonly room = new OtlpRoom();
  /** To be set by a reader that meets a text that is not UTF-8 in an attribute of a resource: it cannot be a label. */
  brokenText = false;
  /** Of the scope in hand, to be set between beginScope and endScope. */
  scopeName = '';
  scopeVersion = '';
  scopeDroppedAttributes = 0;
  /** Of the record in hand, to be set between beginRecord and endRecord. */
  timeHigh = 0;
  timeLow = 0;
  observedHigh = 0;
  observedLow = 0;
  severityNumber = 0;
  severityText = '';
  droppedAttributes = 0;
  flags = 0;
  /** Hexadecimal; '' if there is none or all of it is zero. */
  traceId = '';
  spanId = '';
  eventName = '';

  readonly #sink: PushSink;
  readonly #indexLabels: ReadonlySet<string>;
  readonly #nowSeconds: number;
  readonly #nowNanos: number;
  /** Records without a time: each gets the next nanosecond, since equal entries at one time would count once. */
  #untimed = 0;
  readonly #names = new Map<string, string>();
  /** Of the resource in hand, names and values in turn, and of the stream that the sink was told last; undefined if that was none. */
  #labels: string[] = [];
  #streamLabels: string[] | undefined;
  #refusal: string | undefined;
  readonly #resourcePairs: string[] = [];
  readonly #scopePairs: string[] = [];
  readonly #pairs: string[] = [];
  readonly #eventPairs: string[] = [];
  #lineBytes: Buffer = EMPTY;
  #lineFrom = 0;
  #lineTo = 0;
  #seconds = 0;
  #nanos = 0;

  constructor(sink: PushSink, { indexLabels, nowMs }: OtlpOptions) {
    this.#sink = sink;
    this.#indexLabels = indexLabels;
    this.#nowSeconds = Math.floor(nowMs / 1_000);
    this.#nowNanos = Math.floor(nowMs - this.#nowSeconds * 1_000) * 1_000_000;
  }

  beginResource(): void {
    this.room.clear();
    this.brokenText = false;
    if (this.#labels.length > 0) this.#labels.length = 0;
    this.#refusal = undefined;
    this.#resourcePairs.length = 0;
  }

  resourceAttribute(key: string, value: OtlpValue): void {
    if (this.#indexLabels.has(key)) {
      this.#flatten('', key, value, this.#labels);
      if (this.brokenText) this.#refusal = `invalid labels: value of resource attribute ${JSON.stringify(key)} is not valid UTF-8`;
    } else this.#flatten('', key, value, this.#resourcePairs);
    this.brokenText = false;
  }

  /** `rows` and `bytes`: number, 0 where that is not known, and size of the records that follow. */
  endResource(rows: number, bytes: number): void {
    this.#sink.resource(this.#resourcePairs);
    if (this.#refusal !== undefined) {
      this.#sink.refuseStream(this.#refusal);
      this.#streamLabels = undefined;
    } else if (this.#streamLabels === undefined || !equal(this.#labels, this.#streamLabels)) {
      // Collectors send many resources of the same labels one after the other.
      const text = Buffer.from(formatLabels(toLabels(pairsOf(this.#labels))));
      this.#sink.stream('text', text, 0, text.length, rows, bytes);
      this.#streamLabels = this.#labels;
      this.#labels = [];
    }
  }

  beginScope(): void {
    this.room.clear();
    this.#scopePairs.length = 0;
    this.scopeName = '';
    this.scopeVersion = '';
    this.scopeDroppedAttributes = 0;
  }

  scopeAttribute(key: string, value: OtlpValue): void {
    this.#flatten('', key, value, this.#scopePairs);
  }

  endScope(): void {
    const pairs = this.#scopePairs;
    if (this.scopeName !== '') pairs.push('scope_name', this.scopeName);
    if (this.scopeVersion !== '') pairs.push('scope_version', this.scopeVersion);
    if (this.scopeDroppedAttributes !== 0) pairs.push('scope_dropped_attributes_count', String(this.scopeDroppedAttributes));
    this.#sink.scope(pairs);
  }

  beginRecord(): void {
    this.room.clear();
    this.#pairs.length = 0;
    this.#eventPairs.length = 0;
    this.#lineBytes = EMPTY;
    this.#lineFrom = 0;
    this.#lineTo = 0;
    this.timeHigh = 0;
    this.timeLow = 0;
    this.observedHigh = 0;
    this.observedLow = 0;
    this.severityNumber = 0;
    this.severityText = '';
    this.droppedAttributes = 0;
    this.flags = 0;
    this.traceId = '';
    this.spanId = '';
    this.eventName = '';
  }

  logAttribute(key: string, value: OtlpValue): void {
    this.#flatten('', key, value, key === EVENT_NAME ? this.#eventPairs : this.#pairs);
  }

  /** The body is a string: bytes [from, to) of `bytes`, which may change after endRecord. */
  line(bytes: Buffer, from: number, to: number): void {
    this.#lineBytes = bytes;
    this.#lineFrom = from;
    this.#lineTo = to;
  }

  body(value: OtlpValue): void {
    const bytes = Buffer.from(valueText(value, this.room));
    this.line(bytes, 0, bytes.length);
  }

  endRecord(): void {
    const pairs = this.#pairs;
    if (this.eventName === '') for (const text of this.#eventPairs) pairs.push(text);
    if (this.#setTime()) pairs.push('observed_timestamp', nanosecondsText(this.observedHigh, this.observedLow));
    if (this.severityNumber !== 0) pairs.push('severity_number', String(this.severityNumber));
    if (this.severityText !== '') pairs.push('severity_text', this.severityText);
    if (this.droppedAttributes !== 0) pairs.push('dropped_attributes_count', String(this.droppedAttributes));
    if (this.flags !== 0) pairs.push('flags', String(this.flags));
    if (this.traceId !== '') pairs.push('trace_id', this.traceId);
    if (this.spanId !== '') pairs.push('span_id', this.spanId);
    if (this.eventName !== '') pairs.push(EVENT_NAME, this.eventName);
    this.#sink.entry(this.#seconds, this.#nanos, this.#lineBytes, this.#lineFrom, this.#lineTo, pairs);
  }

  /** The record's time: its own, else when it was observed, else now. Returns whether it has both of the former. */
  #setTime(): boolean {
    const observed = (this.observedHigh | this.observedLow) !== 0;
    if ((this.timeHigh | this.timeLow) !== 0) {
      this.#split(this.timeHigh, this.timeLow);
      return observed;
    }
    if (observed) this.#split(this.observedHigh, this.observedLow);
    else {
      if (this.#untimed === MAX_UNTIMED)
        throw new Fault('bad_request', `otlp: more than ${MAX_UNTIMED} records without a time in one request`);
      const nanos = this.#nowNanos + this.#untimed++;
      this.#seconds = this.#nowSeconds + Math.floor(nanos / 1e9);
      this.#nanos = nanos % 1e9;
    }
    return false;
  }

  /** Divides by 1e9 sixteen bits at a time, as no step may go beyond 2^53. From 2^63 on the number stands for a time before 1970, as in Go. */
  #split(high: number, low: number): void {
    if (high >= TWO_31) {
      this.#seconds = Number.NEGATIVE_INFINITY;
      this.#nanos = 0;
      return;
    }
    const upper = (high % 1e9) * TWO_16 + Math.floor(low / TWO_16);
    const lower = (upper % 1e9) * TWO_16 + (low % TWO_16);
    this.#seconds = Math.floor(high / 1e9) * TWO_32 + Math.floor(upper / 1e9) * TWO_16 + Math.floor(lower / 1e9);
    this.#nanos = lower % 1e9;
  }

  /** Appends an attribute as a pair; a list of keys as a pair for each, its name in front of theirs. */
  #flatten(prefix: string, key: string, value: OtlpValue, into: string[]): void {
    if (prefix !== '') this.room.characters(prefix.length + key.length);
    const name = prefix === '' ? this.#nameOf(key) : sanitizeName(`${prefix}_${key}`);
    if (value instanceof Map) for (const [inner, innerValue] of value) this.#flatten(name, inner, innerValue, into);
    else pushPair(into, name, valueText(value, this.room));
  }

  #nameOf(key: string): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    if (this.#names.size === MAX_NAMES) this.#names.clear();
    const name = sanitizeName(key);
    this.#names.set(key, name);
    return name;
  }
}

function pairsOf(flat: readonly string[]): Label[] {
  return Array.from({ length: flat.length / 2 }, (_, index): Label => [flat[index * 2], flat[index * 2 + 1]]);
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/** Signed, as Go prints it. */
function nanosecondsText(high: number, low: number): string {
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low)).toString();
}
