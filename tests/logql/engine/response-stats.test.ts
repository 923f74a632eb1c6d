import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noScanStats } from '../../../actors/protocol/query.ts';
import { statsBody } from '../../../logql/engine/response-stats.ts';

test('when a limit is reached before all rows of the heads were looked at, nothing is counted below zero', () => {
  const ran = { ...noScanStats(), execMs: 0, queueMs: 0, subqueries: 1, splits: 1, shards: 1, ingesters: 1 };
  const body = statsBody({ ...ran, lines: 5, lineBytes: 50, headRows: 10 }, 1) as {
    querier: { store: { chunk: Record<string, number> } };
    ingester: { store: { chunk: Record<string, number> } };
  };
  const [stored, head] = [body.querier.store.chunk, body.ingester.store.chunk];
  assert.deepEqual([stored.decompressedLines, stored.decompressedBytes, head.headChunkLines, head.headChunkBytes], [0, 0, 5, 50]);
});

test('everything but times of the summary is a whole number, as clients in Go read it', () => {
  const ran = { ...noScanStats(), execMs: 1.234, queueMs: 0.5, subqueries: 1, splits: 1, shards: 1, ingesters: 1 };
  const body = statsBody({ ...ran, lines: 3, lineBytes: 50, headRows: 2, metadataBytes: 7, decompressMs: 0.0791120001 }, 1);
  const broken: string[] = [];
  const visit = (value: unknown, path: string): void => {
    if (typeof value === 'number' && !Number.isInteger(value)) broken.push(path);
    if (typeof value === 'object' && value !== null) for (const [key, inner] of Object.entries(value)) visit(inner, `${path}.${key}`);
  };
  visit(body, 'stats');
  assert.deepEqual(broken, ['stats.summary.execTime', 'stats.summary.queueTime']);
});
