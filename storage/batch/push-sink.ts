import { Fault } from '../../ops/base/fault.ts';

/** Far beyond what any tenant is let store with an entry. */
const MAX_PAIRS = 65_536;

/** Receives what a push request holds, in its order. Nothing that it is given lives longer than the call. */
export interface PushSink {
  /** Entries of this stream follow. Bytes [from, to) are its labels as they came in: Prometheus text, or the JSON object they stand in; none if from === to.
   *  `rows` and `lineBytes` say how much follows at most, for reserving room; `rows` is 0 where that is not known. Throws Fault on bad labels. */
  stream(form: LabelForm, bytes: Buffer, from: number, to: number, rows: number, lineBytes: number): void;
  /** Entries follow whose labels cannot be those of a stream: each is refused, and the client is told why. */
  refuseStream(why: string): void;
  /** Structured metadata, name, value, name, value …, that entries have beside their own: those of a resource, until the next one, and of a scope, until the next
   *  scope or resource. None before the first call. */
  resource(pairs: readonly string[]): void;
  scope(pairs: readonly string[]): void;
  /** `seconds` since the epoch, a whole number or ±Infinity; `nanos` in [0, 1e9). The line is bytes [from, to) of `bytes`.
   *  `pairs`: structured metadata, name, value, name, value …, reused by the caller. */
  entry(seconds: number, nanos: number, bytes: Buffer, from: number, to: number, pairs: readonly string[]): void;
}

/** Adds a pair of an entry's metadata. Throws Fault too_large for more than anybody means: a body has room for millions, which would take many times what it does. */
export function pushPair(pairs: string[], name: string, value: string): void {
  if (pairs.length === MAX_PAIRS * 2) {
    throw new Fault('too_large', `request body too large: an entry with more than ${MAX_PAIRS} pairs of structured metadata`);
  }
  pairs.push(name, value);
}

export type LabelForm = 'text' | 'json';
