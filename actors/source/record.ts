/** A partition of a topic. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
}

export const placeOf = ({ topic, partition }: Place): string => `${topic}/${partition}`;

/** A record of a topic, as whoever wrote it meant it. */
export interface SourceRecord extends Place {
  readonly offset: number;
  /** Milliseconds since 1970, as Kafka has it; negative if it has none. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  /** Null: the record only says that there is nothing under its key any more. */
  readonly value: Buffer | null;
  /** Of equal names the last. */
  readonly headers: ReadonlyMap<string, Buffer>;
}

/** One entry of a record. */
export interface MappedRow {
  readonly kind: 'row';
  readonly tenant: string;
  /** Canonical text. */
  readonly labels: string;
  readonly timeNs: bigint;
  readonly line: Buffer;
  /** Name, value, name, value … */
  readonly metadata: readonly string[];
}

/** A record that is a push request itself. */
export interface MappedBody {
  readonly kind: 'body';
  readonly tenant: string;
  readonly format: 'loki' | 'otlp';
  readonly contentType: string;
  readonly body: Buffer;
  /** What entries without a time get. */
  readonly timeMs: number;
}

/** A record that can never be taken. */
export interface Poison {
  readonly kind: 'poison';
  readonly why: string;
}

export type Mapped = MappedRow | MappedBody | Poison;
