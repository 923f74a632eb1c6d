import { formatLabels, type Labels, toLabels } from '../../../logql/model.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { HOUR_NS, streamHash } from '../../../storage/batch/batch.ts';
import { Head } from '../../../storage/chunk/head.ts';
import type { LevelZeroInfo } from '../../../storage/segment/footer.ts';
import { SegmentWriter } from '../../../storage/segment/writer.ts';
import { batchOf, HOUR, type PlainRow, pick, randomRows } from '../chunk/rows.ts';

/** What goes into a segment: one stream and its rows, of any hours. */
export interface PlainStream {
  readonly tenant: string;
  readonly labels: Record<string, string>;
  readonly rows: readonly PlainRow[];
}

export function canonical(labels: Record<string, string>): string {
  return formatLabels(parsed(labels));
}

function parsed(labels: Record<string, string>): Labels {
  return toLabels(Object.entries(labels));
}

/** The object's bytes, in the pieces in which the writer hands them out. */
export async function segmentOf(
  streams: readonly PlainStream[],
  range: LevelZeroInfo = { log: 'log-1', from: 0, to: 10 },
): Promise<Uint8Array[]> {
  const writer = new SegmentWriter(realWorld());
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  const sorted = [...streams].sort((a, b) => order(a.tenant, b.tenant) || order(canonical(a.labels), canonical(b.labels)));
  for (const { tenant, labels, rows } of sorted) {
    const text = canonical(labels);
    const stream = { tenant, labels: text, parsed: parsed(labels), hash: streamHash(tenant, text) };
    for (const [hour, some] of byHour(rows)) {
      const head = new Head(hour);
      head.append(batchOf(some, text, tenant));
      await writer.add(stream, head.block());
    }
  }
  return writer.finish(range);
}

function byHour(rows: readonly PlainRow[]): [hour: number, rows: PlainRow[]][] {
  const hours = Map.groupBy(rows, ({ time }) => Number(time / BigInt(HOUR_NS)));
  return [...hours].sort(([a], [b]) => a - b);
}

export function randomStreams(next: () => number, count: number): PlainStream[] {
  const streams = new Map<string, PlainStream>();
  for (let number = 0; number < count; number++) {
    const tenant = pick(next, ['fake', 'tenant-2', 'ünïcode']);
    const labels: Record<string, string> = { app: pick(next, ['checkout', 'nginx', 'say "hi"']), pod: `pod-${Math.floor(next() * count)}` };
    if (next() < 0.5) labels.env = pick(next, ['prod', 'dev']);
    const rows = [HOUR, HOUR + 1, HOUR + 20]
      .filter(() => next() < 0.6)
      .flatMap((hour) => randomRows(next, 1 + Math.floor(next() * 40), hour));
    if (rows.length > 0) streams.set(`${tenant} ${canonical(labels)}`, { tenant, labels, rows });
  }
  return [...streams.values()];
}
