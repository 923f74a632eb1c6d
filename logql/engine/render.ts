import type { Labels } from '../model.ts';
import { printSample } from '../syntax/print-number.ts';
import { JsonWriter } from './json-writer.ts';
import { labelsJson } from './labels-json.ts';
import type { FrameEntry } from './log-frame.ts';
import type { Matrix, Series } from './matrix.ts';
import { type QueryStats, statsBody } from './response-stats.ts';
import type { EvaluationTimes } from './windows.ts';

/** What stands around a result in an answer. */
export interface AnswerFrame {
  readonly stats: QueryStats;
  /** Why the answer may be less than complete. */
  readonly warnings?: readonly string[];
}

/** Of a log query: the entries that are not in the answer. */
export interface Page {
  /** Whether there are any. */
  readonly more?: boolean;
  /** With it the next page is asked for. */
  readonly cursor?: string;
  /** Where in the answer the time is that the entries stand around. */
  readonly context?: Readonly<Record<string, number | boolean>>;
}

const CHUNK = 256 * 1024;

interface StreamEntries {
  readonly text: string;
  readonly labels: Labels;
  readonly values: Uint8Array[];
}

/** Entries by stream, as they are ordered; streams by their first entry. */
function byStream(entries: readonly FrameEntry[]): StreamEntries[] {
  const streams = new Map<string, StreamEntries>();
  for (const { text, labels, value } of entries) {
    const stream = streams.get(text);
    if (stream === undefined) streams.set(text, { text, labels, values: [value] });
    else stream.values.push(value);
  }
  return [...streams.values()];
}

/** Entries as they were answered under /api/prom: `{"streams":[{"labels":"{…}","entries":[…]}],"stats":…}`. They were written for that, too. */
export function renderLegacyStreams(entries: readonly FrameEntry[], stats: QueryStats): Uint8Array[] {
  const body = new Body();
  body.json.raw('{"streams":');
  body.list(byStream(entries), ({ text, values }) => {
    body.json.raw(`{"labels":${JSON.stringify(text)},"entries":`);
    body.list(values, (value) => body.json.bytes(value));
    body.json.raw('}');
  });
  body.json.raw(`,"stats":${JSON.stringify(statsBody(stats, entries.length))}}`);
  return body.finish();
}

export function renderStreams(
  entries: readonly FrameEntry[],
  { categorize, more, cursor, context, ...frame }: AnswerFrame & Page & { readonly categorize: boolean },
): Uint8Array[] {
  const flags = categorize ? '"encodingFlags":["categorize-labels"],' : '';
  const next = cursor === undefined ? '' : `"cursor":"${cursor}",`;
  const around = context === undefined ? '' : `"context":${JSON.stringify(context)},`;
  const summary = more === undefined ? {} : { more, ...matched(frame.stats) };
  return renderAnswer('streams', flags + next + around, { ...frame, summary }, entries.length, (body) => {
    body.list(byStream(entries), ({ labels, values }) => {
      body.json.raw(`{"stream":${labelsJson(labels)},"values":`);
      body.list(values, (value) => body.json.bytes(value));
      body.json.raw('}');
    });
  });
}

/** How many entries match, if all were looked at. */
function matched({ cutShort, blocksSkipped, matchedLines }: QueryStats): { matched?: number } {
  return cutShort + blocksSkipped === 0 ? { matched: matchedLines } : {};
}

export function renderMatrix({ series }: Matrix, times: EvaluationTimes, frame: AnswerFrame): Uint8Array[] {
  const timeOf = (step: number): string => secondsText(times.startNs + BigInt(step) * BigInt(times.stepNs));
  const texts: string[] = [];
  return renderAnswer('matrix', '', frame, series.length, (body) => {
    body.list(series, ({ labels, from, start, end, values, present }) => {
      body.json.raw(`{"metric":${labelsJson(labels)},"values":[`);
      let separator = '';
      for (let at = start; at < end; at++) {
        if (present[at] === 0) continue;
        const step = from + at - start;
        texts[step] ??= timeOf(step);
        body.json.raw(`${separator}[${texts[step]},"${printSample(values[at])}"]`);
        separator = ',';
      }
      body.json.raw(']}');
    });
  });
}

/** `series`: of one step, in the order of the answer. */
export function renderVector(series: readonly Series[], timeNs: bigint, frame: AnswerFrame): Uint8Array[] {
  const time = secondsText(timeNs);
  return renderAnswer('vector', '', frame, series.length, (body) => {
    body.list(series, ({ labels, values, start }) =>
      body.json.raw(`{"metric":${labelsJson(labels)},"value":[${time},"${printSample(values[start])}"]}`),
    );
  });
}

export function renderScalar(value: number, timeNs: bigint, frame: AnswerFrame): Uint8Array[] {
  return renderAnswer('scalar', '', frame, 1, (body) => body.json.raw(`[${secondsText(timeNs)},"${printSample(value)}"]`));
}

/** Seconds with at most three decimals: Prometheus counts milliseconds. */
export function secondsText(timeNs: bigint): string {
  return String(Number(timeNs / 1_000_000n) / 1000);
}

export function renderAnswer(
  resultType: string,
  flags: string,
  { stats, warnings, summary }: AnswerFrame & { readonly summary?: Record<string, unknown> },
  returned: number,
  result: (body: Body) => void,
): Uint8Array[] {
  const body = new Body();
  body.json.raw(
    `{"status":"success",${warnings === undefined || warnings.length === 0 ? '' : `"warnings":${JSON.stringify(warnings)},`}"data":{${flags}`,
  );
  body.json.raw(`"resultType":"${resultType}","result":`);
  result(body);
  body.json.raw(`,"stats":${JSON.stringify(statsBody(stats, returned, summary))}}}`);
  return body.finish();
}

/** JSON that is cut into chunks while it grows. */
export class Body {
  readonly json = new JsonWriter();
  readonly #chunks: Uint8Array[] = [];

  list<T>(items: readonly T[], write: (item: T) => void): void {
    let separator = '[';
    for (const item of items) {
      this.json.raw(separator);
      write(item);
      separator = ',';
      if (this.json.length >= CHUNK) this.#chunks.push(this.json.take());
    }
    this.json.raw(items.length === 0 ? '[]' : ']');
  }

  finish(): Uint8Array[] {
    this.#chunks.push(this.json.take());
    return this.#chunks;
  }
}
