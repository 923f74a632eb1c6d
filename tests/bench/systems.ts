import type { Corpus } from './corpus.ts';
import type { Question } from './questions.ts';

/** How to talk to one kind of store. Answers are texts that are equal where the answers are. */
export interface SystemKind {
  push(url: string, body: Buffer): Promise<Response>;
  /** Resolves when what was pushed is stored. */
  flush(url: string): Promise<Response>;
  ask(url: string, question: Question, corpus: Corpus): Promise<string>;
}

const form = { 'content-type': 'application/x-www-form-urlencoded' };

const loki: SystemKind = {
  push: (url, body) => pushTo(`${url}/loki/api/v1/push`, body),
  flush: (url) => fetch(`${url}/flush`, { method: 'POST' }),
  async ask(url, { kind, logql }, { startMs, endMs }) {
    const query = logql.replaceAll('RANGE', `${Math.ceil((endMs - startMs) / 1_000) + 60}s`);
    const end = `${endMs + 30_000}000000`;
    const params: Record<string, string> =
      kind === 'instant'
        ? { query, time: end }
        : { query, start: `${startMs - 1_000}000000`, end, limit: '100', step: '60', direction: 'backward' };
    const response = await fetch(`${url}/loki/api/v1/${kind === 'instant' ? 'query' : 'query_range'}?${new URLSearchParams(params)}`);
    const text = await response.text();
    if (!response.ok) return `HTTP ${response.status} ${text.slice(0, 120)}`;
    return lokiAnswer(JSON.parse(text).data);
  },
};

type LokiData =
  | { resultType: 'streams'; result: { values: unknown[] }[] }
  | { resultType: 'vector'; result: { value: [number, string] }[] }
  | { resultType: 'matrix'; result: { values: unknown[] }[] };

function lokiAnswer(data: LokiData): string {
  if (data.resultType === 'vector') return largest(data.result.map(({ value }) => value[1]));
  const values = data.result.reduce((sum, { values }) => sum + values.length, 0);
  return data.resultType === 'streams' ? `${values} lines` : `${data.result.length} series ${values} points`;
}

const vlogs: SystemKind = {
  push: (url, body) => pushTo(`${url}/insert/loki/api/v1/push?disable_message_parsing=1`, body),
  flush: (url) => fetch(`${url}/internal/force_flush`),
  async ask(url, { logsql }, { startMs, endMs }) {
    const params = {
      query: logsql,
      start: new Date(startMs - 1_000).toISOString(),
      end: new Date(endMs + 30_000).toISOString(),
      limit: '100000',
    };
    const response = await fetch(`${url}/select/logsql/query`, {
      method: 'POST',
      headers: form,
      body: new URLSearchParams(params).toString(),
    });
    const text = await response.text();
    if (!response.ok) return `HTTP ${response.status} ${text.slice(0, 120)}`;
    const rows = text.split('\n').filter((row) => row !== '');
    if (!rows[0]?.includes('"n":')) return `${rows.length} lines`;
    return rows.length > 12 ? `${rows.length} points` : largest(rows.map((row) => JSON.parse(row).n));
  },
};

export const systemKinds: Record<string, SystemKind> = { loki, vlogs };

function pushTo(url: string, body: Buffer): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/x-protobuf' }, body: body as Buffer<ArrayBuffer> });
}

/** The six largest numbers, ascending. */
function largest(values: string[]): string {
  return values
    .sort((a, b) => Number(a) - Number(b))
    .slice(-6)
    .join(' ');
}
