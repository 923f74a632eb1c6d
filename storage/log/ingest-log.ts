/** The number of a record in its log: 0, 1, 2 … without holes. */
export type Position = number;

/** What takes records into a log: a local file's one writer, or one of many who write to a Kafka partition. */
export interface LogWriter {
  /** Resolves with the record's position once it survives a power cut. Records of one writer become durable, and resolve, in the order of the calls.
   *  `parts` are written one after the other as one record and are borrowed until this settles. Throws Fault disk_full, unavailable or in_doubt (then the record
   *  is not acknowledged, and may or may not be found by a replay; of Kafka it is not, but if it is in doubt), too_large. */
  append(parts: readonly Uint8Array[]): Promise<Position>;
  /** Waits for appends in flight; later ones throw unavailable. */
  close(): Promise<void>;
}

/** What object storage and heads know a log by. */
export interface TrimmedLog {
  /** Names the log for ever; no other log ever has this id. Used in object keys: [a-z0-9-]+. */
  readonly id: string;
  /** Records below `upTo` are no longer needed. Of files whole ones go, and what is left over is skipped by the next `read(upTo)`; Kafka keeps them as its topic is told to. */
  trim(upTo: Position): Promise<void>;
}

/** A durable sequence of records in local files. One writer. */
export interface IngestLog extends LogWriter, TrimmedLog {
  /** One past the last durable record: the position that the next record gets when no append is under way. Never goes back. */
  readonly end: Position;
  /** Records from `from` (or the oldest kept) to the `end` of when reading began, in order. Bytes are owned by the receiver until it asks
   *  for the next. Lost records are told once, as a gap. */
  read(from: Position): AsyncIterable<LogRecord | LogGap>;
  /** Bytes on disk. */
  sizeBytes(): number;
}

export interface LogRecord {
  readonly kind: 'record';
  readonly position: Position;
  readonly bytes: Buffer;
  /** When the log took it in, by its own clock, ms since the epoch; absent where it does not say. */
  readonly timeMs?: number;
}

/** Records [from, to) cannot be read. */
export interface LogGap {
  readonly kind: 'gap';
  readonly from: Position;
  readonly to: Position;
  /** Bytes found in their place; 0 where a whole file is gone. */
  readonly lostBytes: number;
  /** They may never have been acknowledged: what a power cut leaves when it tears the last write in its middle. */
  readonly doubtful: boolean;
  readonly reason: string;
}
