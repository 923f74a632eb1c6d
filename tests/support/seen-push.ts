import type { PushSink } from '../../storage/batch/push-sink.ts';

export interface SeenEntry {
  readonly seconds: number;
  readonly nanos: number;
  readonly line: Buffer;
  readonly pairs: readonly string[];
}

export interface SeenStream {
  readonly labels: string;
  readonly rows: number;
  readonly lineBytes: number;
  readonly entries: SeenEntry[];
}

/** Keeps what a decoder tells. */
export class SeenPush implements PushSink {
  readonly streams: SeenStream[] = [];
  #resource: readonly string[] = [];
  #scope: readonly string[] = [];

  stream(_form: string, bytes: Buffer, from: number, to: number, rows: number, lineBytes: number): void {
    this.streams.push({ labels: bytes.toString('utf8', from, to), rows, lineBytes, entries: [] });
  }

  refuseStream(why: string): void {
    this.streams.push({ labels: `refused: ${why}`, rows: 0, lineBytes: 0, entries: [] });
  }

  resource(pairs: readonly string[]): void {
    this.#resource = [...pairs];
    this.#scope = [];
  }

  scope(pairs: readonly string[]): void {
    this.#scope = [...pairs];
  }

  entry(seconds: number, nanos: number, bytes: Buffer, from: number, to: number, pairs: readonly string[]): void {
    this.streams
      .at(-1)!
      .entries.push({ seconds, nanos, line: Buffer.from(bytes.subarray(from, to)), pairs: [...pairs, ...this.#resource, ...this.#scope] });
  }
}
