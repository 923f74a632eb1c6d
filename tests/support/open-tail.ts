import { type TailFrontendAsk, tailFrontendProtocol } from '../../actors/protocol/tail.ts';
import { asFault, type Fault } from '../../ops/base/fault.ts';
import type { SingleStore } from './single-store.ts';

/** A tail of a store, read by a client that can stop reading. */
export class OpenTail {
  /** Resolves when every shard is listened to. */
  readonly opened: Promise<void>;
  /** Why the tail ended; undefined until then. */
  fault: Fault | undefined;
  readonly messages: {
    streams: { stream: Record<string, string>; values: [string, string, ...unknown[]][] }[];
    dropped_entries?: unknown[];
  }[] = [];
  readonly #caller = new AbortController();
  #reading = Promise.withResolvers<void>();

  constructor(store: SingleStore, query: string, options: Partial<TailFrontendAsk> & { tenant?: string; frontend?: string } = {}) {
    this.#reading.resolve();
    const { tenant = 'fake', frontend = '0', ...rest } = options;
    const ask = { kind: 'tail' as const, query, startNs: 0n, limit: 100, delayMs: 0, categorize: false, legacy: false, ...rest };
    const asked = { tenant, deadlineMs: Number.POSITIVE_INFINITY, signal: this.#caller.signal };
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    this.opened.catch(() => {});
    const read = async (): Promise<void> => {
      for await (const { body } of store.system.stream(tailFrontendProtocol, frontend, ask, asked)) {
        if (body.length === 0) opened.resolve();
        else this.messages.push(JSON.parse(Buffer.from(body).toString()));
        await this.#reading.promise;
      }
    };
    read().catch((error) => {
      this.fault = asFault(error);
      opened.reject(error);
    });
  }

  /** The client takes no more than it was sent. */
  stall(): void {
    this.#reading = Promise.withResolvers();
  }

  goOn(): void {
    this.#reading.resolve();
  }

  leave(): void {
    this.#caller.abort();
  }

  get lines(): string[] {
    return this.messages.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line)));
  }

  get dropped(): unknown[] {
    return this.messages.flatMap(({ dropped_entries = [] }) => dropped_entries);
  }
}
