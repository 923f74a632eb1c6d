import type { LokiClient, MetricResult, QueryResult, Stream } from './client.ts';
import { CommandError } from './command.ts';

export interface LogEntry {
  timeNs: bigint;
  line: string;
  /** Stream labels and structured metadata. */
  labels: Record<string, string>;
}

export interface RangeQuery {
  query: string;
  fromNs: bigint;
  /** Exclusive for log queries. */
  toNs: bigint;
  /** How many entries in all; Infinity for every one. */
  limit: number;
  forward: boolean;
  /** Distance of a metric query's samples, if the server shall not choose it. */
  stepS?: number;
}

type Asks = Pick<LokiClient, 'queryRange'>;

/** Servers refuse more than max_entries_limit_per_query at once. */
const PAGE = { usual: 1_000, largest: 5_000 };

/** Runs a query of either kind; the first answer tells which it is. */
export async function rangeQuery(
  client: Asks,
  asked: RangeQuery,
): Promise<MetricResult | { resultType: 'pages'; pages: AsyncIterable<LogEntry[]> }> {
  const first = await ask(client, asked, asked, Math.min(PAGE.usual, asked.limit));
  return first.resultType === 'streams' ? { resultType: 'pages', pages: pagesFrom(first, client, asked) } : first;
}

/** All entries of a log query, page by page, in order of time. Throws CommandError on a metric query. */
export async function* logPages(client: Asks, asked: RangeQuery): AsyncGenerator<LogEntry[]> {
  const answer = await rangeQuery(client, asked);
  if (answer.resultType !== 'pages') throw new CommandError('this is a metric query, not a log query');
  yield* answer.pages;
}

function ask(
  client: Asks,
  { query, forward, stepS }: RangeQuery,
  range: { fromNs: bigint; toNs: bigint },
  size: number,
  cursor?: string,
): Promise<QueryResult> {
  const more: Record<string, string> = { ...(stepS === undefined ? {} : { step: String(stepS) }), ...(cursor && { cursor }) };
  return client.queryRange(query, range, { limit: String(size), direction: forward ? 'forward' : 'backward', ...more });
}

/** A page starts at the last time of the page before, since more entries may stand at that time, and drops those already seen. */
async function* pagesFrom(first: QueryResult, client: Asks, asked: RangeQuery): AsyncGenerator<LogEntry[]> {
  const range = { fromNs: asked.fromNs, toNs: asked.toNs };
  let left = asked.limit;
  let pageSize = PAGE.usual;
  let size = Math.min(pageSize, left);
  let border: bigint | undefined;
  const seen = new Set<string>(); // of the entries at the border
  for (let data = first; ; data = await ask(client, asked, range, size)) {
    if (data.resultType !== 'streams') throw new CommandError(`an answer changed from streams to ${data.resultType}`);
    const page = entriesOf(data.result, asked.forward);
    const fresh = page.filter((entry) => entry.timeNs !== border || !seen.has(identity(entry))).slice(0, left);
    left -= fresh.length;
    if (fresh.length > 0) yield fresh;
    if (page.length < size || left === 0) return;
    if (data.cursor !== undefined) return yield* pagesBehind(data.cursor, client, asked, left);
    if (fresh.length === 0) {
      if (pageSize === PAGE.largest) throw new CommandError(`more than ${PAGE.largest} entries at ${border} ns: narrow the query`);
      pageSize = PAGE.largest;
    }
    const last = page[page.length - 1].timeNs;
    if (last !== border) seen.clear();
    border = last;
    for (const entry of page) if (entry.timeNs === border) seen.add(identity(entry));
    if (asked.forward) range.fromNs = border;
    else range.toNs = border + 1n;
    size = Math.min(pageSize, left + seen.size);
  }
}

/** A server that gives cursors says itself where the next page begins. */
async function* pagesBehind(start: string, client: Asks, asked: RangeQuery, wanted: number): AsyncGenerator<LogEntry[]> {
  let cursor: string | undefined = start;
  for (let left = wanted; cursor !== undefined && left > 0; ) {
    const data: QueryResult = await ask(client, asked, asked, Math.min(PAGE.usual, left), cursor);
    if (data.resultType !== 'streams') throw new CommandError(`an answer changed from streams to ${data.resultType}`);
    const page = entriesOf(data.result, asked.forward);
    left -= page.length;
    yield page;
    cursor = data.cursor;
  }
}

/** The entries of an answer's streams in order of time; those of one time stay in the answer's order. */
function entriesOf(streams: readonly Stream[], forward: boolean): LogEntry[] {
  const entries = streams.flatMap(({ stream, values }) => values.map(([time, line]) => ({ timeNs: BigInt(time), line, labels: stream })));
  const sign = forward ? 1 : -1;
  return entries.sort((a, b) => (a.timeNs < b.timeNs ? -sign : a.timeNs > b.timeNs ? sign : 0));
}

/** Tells entries apart as the store does: by time, labels, metadata and line. */
export function identity({ timeNs, line, labels }: LogEntry): string {
  return JSON.stringify([String(timeNs), Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)), line]);
}
