import type { Explanation } from '../../actors/frontend/explain.ts';
import { CommandError, type Io } from './command.ts';
import { networkFailure, type Reply } from './deliver.ts';

export interface Stream {
  stream: Record<string, string>;
  /** Nanoseconds and line. */
  values: [time: string, line: string][];
}
export interface Sample {
  metric: Record<string, string>;
  /** Seconds and value. */
  value: [time: number, value: string];
}
export interface Series {
  metric: Record<string, string>;
  values: [time: number, value: string][];
}
export type MetricResult =
  | { resultType: 'vector'; result: Sample[] }
  | { resultType: 'matrix'; result: Series[] }
  | { resultType: 'scalar'; result: [time: number, value: string] };
export interface StreamsResult {
  resultType: 'streams';
  result: Stream[];
  /** Of a Millrace server, if there is more. */
  cursor?: string;
}
export type QueryResult = MetricResult | StreamsResult;

type Params = [name: string, value: string][];

/** A Loki-compatible server, over HTTP. */
export class LokiClient {
  readonly address: string;
  readonly #headers: Record<string, string>;

  /** Throws CommandError if the address is no URL. */
  constructor(options: { addr?: string; tenant?: string }, env: Io['env'] = {}) {
    const address = options.addr ?? env.LOKI_ADDR ?? 'http://127.0.0.1:3100';
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) throw new CommandError(`not an http address: ${address}`);
    this.address = address.replace(/\/+$/, '');
    const tenant = options.tenant ?? env.LOKI_ORG_ID;
    this.#headers = tenant ? { 'x-scope-orgid': tenant } : {};
  }

  /** One push attempt; a network failure rejects as fetch's TypeError. */
  async push(body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Reply> {
    const response = await fetch(`${this.address}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers, ...this.#headers },
      body,
    });
    return { status: response.status, retryAfter: response.headers.get('retry-after'), text: await response.text() };
  }

  /** A log or metric query over [fromNs, toNs). */
  queryRange(query: string, range: { fromNs: bigint; toNs: bigint }, more: Record<string, string> = {}): Promise<QueryResult> {
    return this.#get('/loki/api/v1/query_range', [['query', query], ...rangeParams(range), ...Object.entries(more)]);
  }

  /** A metric query at one instant. */
  queryInstant(query: string, timeNs: bigint): Promise<QueryResult> {
    return this.#get('/loki/api/v1/query', [
      ['query', query],
      ['time', String(timeNs)],
    ]);
  }

  /** How a query goes; of a Millrace server only. */
  explain(query: string, more: Record<string, string>): Promise<Explanation> {
    return this.#get('/loki/api/v1/explain', Object.entries({ query, ...more }));
  }

  /** Label names, or the values of one label. */
  labels(name: string | undefined, query: string | undefined, range: { fromNs: bigint; toNs: bigint }): Promise<string[] | undefined> {
    const path = name === undefined ? '/loki/api/v1/labels' : `/loki/api/v1/label/${encodeURIComponent(name)}/values`;
    return this.#get(path, [...rangeParams(range), ...(query === undefined ? [] : ([['query', query]] satisfies Params))]);
  }

  series(selectors: readonly string[], range: { fromNs: bigint; toNs: bigint }): Promise<Record<string, string>[] | undefined> {
    return this.#get('/loki/api/v1/series', [...rangeParams(range), ...selectors.map((selector): Params[number] => ['match[]', selector])]);
  }

  /** The `data` of an answer. Throws CommandError with the server's own words. */
  async #get<T>(path: string, params: Params): Promise<T> {
    const response = await fetch(`${this.address}${path}?${new URLSearchParams(params)}`, { headers: this.#headers }).catch(
      (error: unknown) => {
        throw new CommandError(`cannot reach ${this.address}: ${networkFailure(error).message}`, { cause: error });
      },
    );
    const text = await response.text();
    if (!response.ok) throw new CommandError(`${response.status}: ${text.trim() || response.statusText}`);
    try {
      return (JSON.parse(text) as { data: T }).data;
    } catch {
      throw new CommandError(`${this.address} answered something that is not JSON; is it a Loki-compatible server?`);
    }
  }
}

function rangeParams({ fromNs, toNs }: { fromNs: bigint; toNs: bigint }): Params {
  return [
    ['start', String(fromNs)],
    ['end', String(toNs)],
  ];
}
