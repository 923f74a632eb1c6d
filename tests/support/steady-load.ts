import { setTimeout as sleep } from 'node:timers/promises';
import { get, type PushStream, push, type Range, secondsNs } from './client.ts';

const TIMEOUT_MS = 3_000;
const RETRY_MS = 25;
/** Entries lie within this much before the start of the load, in no order, over two hours' borders. */
const SPREAD_NS = secondsNs(2 * 3_600);

export interface SentEntry {
  timeNs: bigint;
  line: string;
  /** When it was acknowledged, ms since the epoch. */
  acknowledgedMs?: number;
}

/** A seeded generator (mulberry32): the same seed, the same load. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One server, or those of a cluster: each request goes to any of them. */
type Servers = string | readonly string[];

function anyOf(servers: Servers): string {
  return typeof servers === 'string' ? servers : servers[Math.floor(Math.random() * servers.length)];
}

/** Clients that push without pause, each into streams of its own and one that all write. A push whose fate is not known, for want of an
 *  answer or because the server asks to come again, is repeated as it is until it is acknowledged; any other answer fails the load. */
export class SteadyLoad {
  readonly #servers: Servers;
  readonly #random: () => number;
  readonly #endNs: bigint;
  readonly #clients: Promise<void>[];
  readonly #acknowledged = new Map<string, SentEntry[]>();
  #stopped = false;
  #givenUp = false;
  #repeats = 0;
  #pushes = 0;

  constructor(servers: Servers, { clients, seed, endNs }: { clients: number; seed: number; endNs: bigint }) {
    this.#servers = servers;
    this.#random = seededRandom(seed);
    this.#endNs = endNs;
    this.#clients = Array.from({ length: clients }, (_, client) => this.#run(client));
    for (const client of this.#clients) client.catch(() => undefined); // stop() reports it
  }

  /** Pushes that were sent more than once. */
  get repeats(): number {
    return this.#repeats;
  }

  get pushes(): number {
    return this.#pushes;
  }

  /** What was acknowledged so far, by the value of the stream label `stream`. */
  get acknowledged(): ReadonlyMap<string, readonly SentEntry[]> {
    return this.#acknowledged;
  }

  /** A range with every entry in it, in whole milliseconds. */
  get range(): Range {
    return { fromNs: this.#endNs - SPREAD_NS - secondsNs(60), toNs: this.#endNs + secondsNs(60) };
  }

  /** Ends the load once every push is acknowledged. Rejects if one was refused. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  /** A test that fails leaves no load behind: what is under way is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#givenUp = true;
    await Promise.allSettled(this.#clients);
  }

  async #run(client: number): Promise<void> {
    const streams = [`own-${client}-a`, `own-${client}-b`, 'shared'];
    for (let sequence = 0; !this.#stopped; sequence++) {
      const batch = streams.map((stream) => ({ stream, entries: this.#entries(`${client}.${sequence}.${stream}`) }));
      await this.#acknowledge(
        batch.map(
          ({ stream, entries }): PushStream => ({
            stream: { app: 'load', stream },
            values: entries.map(({ timeNs, line }) => [String(timeNs), line]),
          }),
        ),
      );
      const acknowledgedMs = Date.now();
      for (const { stream, entries } of batch) {
        if (!this.#acknowledged.has(stream)) this.#acknowledged.set(stream, []);
        this.#acknowledged.get(stream)?.push(...entries.map((entry) => ({ ...entry, acknowledgedMs })));
      }
      this.#pushes += 1;
      await sleep(20);
    }
  }

  /** Lines that tell themselves apart; some times twice, none in order. */
  #entries(id: string): SentEntry[] {
    const count = 1 + Math.floor(this.#random() * 40);
    return Array.from({ length: count }, (_, index) => ({
      timeNs: this.#endNs - BigInt(Math.floor(this.#random() * 1_000)) * (SPREAD_NS / 1_000n) - BigInt(Math.floor(this.#random() * 4)),
      line: `id=${id}.${index} ${'padding '.repeat(Math.floor(this.#random() * 20))}`,
    }));
  }

  async #acknowledge(streams: PushStream[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (attempt > 0) this.#repeats += 1;
      const status = await this.#attempt(streams);
      if (status === 204 || this.#givenUp) return;
      await sleep(RETRY_MS);
    }
  }

  /** 204, another status that asks for a repeat, or undefined for no answer. */
  async #attempt(streams: PushStream[]): Promise<number | undefined> {
    const answer = await push(anyOf(this.#servers), streams, AbortSignal.timeout(TIMEOUT_MS)).catch((error: unknown) => {
      if (error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError')) return undefined;
      throw error;
    });
    if (answer !== undefined && ![204, 429, 500, 503, 504].includes(answer.status))
      throw new Error(`a push was refused with ${answer.status}: ${answer.text}`);
    return answer?.status;
  }
}

/** Flushes and queries that go on beside a load, whether the server is up or not. A query that is answered with an error fails them. */
export class Disturbance {
  readonly #servers: Servers;
  readonly #range: Range;
  readonly #loops: Promise<void>[];
  #stopped = false;
  #flushes = 0;
  #answers = 0;

  /** `flushed`: those that are, if not all. */
  constructor(servers: Servers, range: Range, { queries, flushed = servers }: { queries: number; flushed?: Servers }) {
    this.#servers = servers;
    this.#range = range;
    this.#loops = [this.#flush(flushed), ...Array.from({ length: queries }, (_, index) => this.#query(index))];
    for (const loop of this.#loops) loop.catch(() => undefined); // stop() reports it
  }

  get flushes(): number {
    return this.#flushes;
  }

  get answers(): number {
    return this.#answers;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  async #flush(servers: Servers): Promise<void> {
    while (!this.#stopped) {
      await sleep(300);
      const answer = await fetch(`${anyOf(servers)}/flush`, { method: 'POST', signal: AbortSignal.timeout(30_000) }).catch(() => undefined);
      if (answer?.ok) this.#flushes += 1;
      await answer?.text().catch(() => undefined);
    }
  }

  async #query(index: number): Promise<void> {
    const queries = [
      '{app="load"} |= "id=1."',
      'sum by (stream) (count_over_time({app="load"}[5m]))',
      '{stream="shared"}',
      'rate({app="load"} |~ "id=[02]"[1m])',
    ];
    const params = { query: queries[index % queries.length], start: String(this.#range.fromNs), end: String(this.#range.toNs), step: '60' };
    while (!this.#stopped) {
      const answer = await get(anyOf(this.#servers), '/loki/api/v1/query_range', params).catch(() => undefined); // down, or cut off
      if (answer?.status === 200) this.#answers += 1;
      else if (answer !== undefined && answer.status < 500 && answer.status !== 429)
        throw new Error(`a query answered ${answer.status}: ${answer.text}`);
      await sleep(10);
    }
  }
}
