import { LokiClient } from '../../ops/cli/client.ts';
import { type LogEntry, logPages } from '../../ops/cli/pages.ts';

export interface PushStream {
  stream: Record<string, string>;
  values: ([time: string, line: string] | [time: string, line: string, metadata: Record<string, string>])[];
}

export interface Answer {
  status: number;
  text: string;
  headers: Headers;
}

export interface Range {
  fromNs: bigint;
  /** Exclusive. */
  toNs: bigint;
}

/** Any push body; rejects only when there was no answer. */
export function pushBody(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Answer> {
  return post(`${url}/loki/api/v1/push`, body, { 'content-type': 'application/json', ...headers }, signal);
}

export async function post(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string>,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', body, headers, ...(signal === undefined ? {} : { signal }) });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

export function push(url: string, streams: readonly PushStream[], signal?: AbortSignal): Promise<Answer> {
  return pushBody(url, JSON.stringify({ streams }), {}, signal);
}

/** Pushes what must be accepted. */
export async function mustPush(url: string, streams: readonly PushStream[]): Promise<void> {
  const { status, text } = await push(url, streams);
  if (status !== 204) throw new Error(`push answered ${status}: ${text}`);
}

export async function get(url: string, path: string, params: Record<string, string> = {}, signal?: AbortSignal): Promise<Answer> {
  const response = await fetch(`${url}${path}?${new URLSearchParams(params)}`, signal && { signal });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** Every entry that a log query finds, oldest first, read in pages. */
export async function allEntries(url: string, query: string, { fromNs, toNs }: Range): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  const asked = { query, fromNs, toNs, limit: Number.POSITIVE_INFINITY, forward: true };
  for await (const page of logPages(new LokiClient({ addr: url }), asked)) entries.push(...page);
  return entries;
}

/** How many entries count_over_time finds in (fromNs, toNs], which are whole milliseconds. */
export async function countEntries(url: string, query: string, { fromNs, toNs }: Range): Promise<number> {
  const range = `${(toNs - fromNs) / 1_000_000n}ms`;
  const data = await new LokiClient({ addr: url }).queryInstant(`sum(count_over_time(${query}[${range}]))`, toNs);
  if (data.resultType !== 'vector') throw new Error(`a count answered a ${data.resultType}`);
  return data.result.length === 0 ? 0 : Number(data.result[0].value[1]);
}

/** A counter or gauge from /metrics, summed over its labels. */
export async function metric(url: string, name: string): Promise<number> {
  const { text } = await get(url, '/metrics');
  const values = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** The number of the first series that an instant query was answered with; 0 without any. */
export function firstValue(text: string): number {
  const { result } = (JSON.parse(text) as { data: { result: { value: [number, string] }[] } }).data;
  return Number(result[0]?.value[1] ?? 0);
}

export const nowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;
export const secondsNs = (seconds: number): bigint => BigInt(Math.round(seconds * 1_000)) * 1_000_000n;
