/** Receives what a push request holds, in its order. Nothing that it is given lives longer than the call. */
export interface PushSink {
  /** Entries of this stream follow. Bytes [from, to) are its labels as they came in: Prometheus text, or the JSON object they stand in; none if from === to.
   *  `rows` and `lineBytes` say how much follows at most, for reserving room; `rows` is 0 where that is not known. Throws Fault on bad labels. */
  stream(form: LabelForm, bytes: Buffer, from: number, to: number, rows: number, lineBytes: number): void;
  /** `seconds` since the epoch, a whole number or ±Infinity; `nanos` in [0, 1e9). The line is bytes [from, to) of `bytes`.
   *  `pairs`: structured metadata, name, value, name, value …, reused by the caller. */
  entry(seconds: number, nanos: number, bytes: Buffer, from: number, to: number, pairs: readonly string[]): void;
}

export type LabelForm = 'text' | 'json';
