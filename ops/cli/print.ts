import { once } from 'node:events';
import { styleText } from 'node:util';
import type { MetricResult } from './client.ts';
import type { Io } from './command.ts';
import type { LogEntry } from './pages.ts';

/** How results are shown: for people, the bare lines, or one JSON object a line. */
export const OUTPUTS = ['default', 'raw', 'jsonl'] as const;
export type Output = (typeof OUTPUTS)[number];

type Style = Parameters<typeof styleText>[0];

/** Styles text if the stream is a terminal that wants it (NO_COLOR, FORCE_COLOR). */
export function paint(stream: NodeJS.WritableStream, style: Style, text: string): string {
  return styleText(style, text, { stream });
}

/** Writes, and waits while the reader is slow. */
export async function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain');
}

const LEVEL_STYLES: Record<string, Style> = { critical: 'red', fatal: 'red', error: 'red', warn: 'yellow', debug: 'dim', trace: 'dim' };

export const printEntry: Record<Output, (entry: LogEntry, stdout: Io['stdout']) => string> = {
  default: ({ timeNs, labels, line }, stdout) => {
    const style = LEVEL_STYLES[labels.detected_level ?? labels.level ?? ''];
    const text = style === undefined ? line : paint(stdout, style, line);
    return `${paint(stdout, 'dim', timeText(timeNs))} ${paint(stdout, 'cyan', labelsText(labels))} ${text}\n`;
  },
  raw: ({ line }) => `${line}\n`,
  jsonl: ({ timeNs, labels, line }) => `${JSON.stringify({ timestamp: timeText(timeNs), labels, line })}\n`,
};

/** RFC 3339 in UTC, with milliseconds, or nanoseconds if there are any. */
export function timeText(timeNs: bigint): string {
  const ms = timeNs / 1_000_000n;
  const rest = timeNs % 1_000_000n;
  const iso = new Date(Number(ms)).toISOString();
  return rest === 0n ? iso : `${iso.slice(0, -1)}${String(rest).padStart(6, '0')}Z`;
}

/** `{app="web", env="prod"}`, by name. */
export function labelsText(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(', ')}}`;
}

/** A metric answer: as a table with a column for each label, as bare values, or as JSON lines. */
export function metricText(data: MetricResult, output: Output, stdout: Io['stdout']): string {
  const points = pointsOf(data);
  if (output === 'raw') return points.map(({ value }) => `${value}\n`).join('');
  if (output === 'jsonl') {
    return points
      .map(({ time, labels, value }) => `${JSON.stringify({ timestamp: new Date(time * 1_000).toISOString(), labels, value })}\n`)
      .join('');
  }
  const names = [...new Set(points.flatMap(({ labels }) => Object.keys(labels)))].sort();
  const rows = points.map(({ time, labels, value }) => [
    new Date(time * 1_000).toISOString(),
    ...names.map((name) => labels[name] ?? ''),
    value,
  ]);
  return table(['time', ...names, 'value'], rows, stdout);
}

/** Every sample by itself: a matrix by series, then time. */
function pointsOf(data: MetricResult): { time: number; labels: Record<string, string>; value: string }[] {
  switch (data.resultType) {
    case 'scalar':
      return [{ time: data.result[0], labels: {}, value: data.result[1] }];
    case 'vector':
      return data.result.map(({ metric, value: [time, value] }) => ({ time, labels: metric, value }));
    case 'matrix':
      return data.result.flatMap(({ metric, values }) => values.map(([time, value]) => ({ time, labels: metric, value })));
  }
}

/** Columns padded to their widest cell; the last one is right-aligned, since it holds numbers. */
export function table(heads: string[], rows: string[][], stdout: Io['stdout']): string {
  const widths = heads.map((head, column) => rows.reduce((widest, row) => Math.max(widest, row[column].length), head.length));
  const last = heads.length - 1;
  const format = (row: string[]): string =>
    row.map((cell, column) => (column === last ? cell.padStart(widths[column]) : cell.padEnd(widths[column]))).join('  ');
  return `${[paint(stdout, 'bold', format(heads)), ...rows.map(format)].join('\n')}\n`;
}
