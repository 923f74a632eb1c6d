import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const compress = promisify(gzip);

/** Entries of one stream on their way to one push request. */
export interface PushBatch {
  readonly entries: number;
  /** Bytes of JSON before compression. */
  readonly sizeBytes: number;
  /** Gzipped JSON, as every Loki-compatible server takes it. */
  body(): Promise<Buffer>;
}

/** Collects entries until a request is worth sending. */
export class Batcher {
  readonly #head: string;
  readonly #targetBytes: number;
  #values: string[] = [];
  #sizeBytes = 0;

  constructor(labels: Readonly<Record<string, string>>, targetBytes: number) {
    this.#head = `{"streams":[{"stream":${JSON.stringify(labels)},"values":[`;
    this.#targetBytes = targetBytes;
  }

  get isEmpty(): boolean {
    return this.#values.length === 0;
  }

  /** Adds an entry; returns the batch once it has the target size. */
  add(timeNs: bigint, line: string): PushBatch | undefined {
    const value = `["${timeNs}",${JSON.stringify(line)}]`;
    this.#values.push(value);
    this.#sizeBytes += value.length;
    return this.#sizeBytes >= this.#targetBytes ? this.take() : undefined;
  }

  /** What was collected so far; wants at least one entry. */
  take(): PushBatch {
    const [head, values] = [this.#head, this.#values];
    const batch: PushBatch = {
      entries: values.length,
      sizeBytes: this.#sizeBytes,
      body: () => compress(`${head}${values.join(',')}]}]}`, { level: 1 }), // the network is near: cheap beats small
    };
    this.#values = [];
    this.#sizeBytes = 0;
    return batch;
  }
}
