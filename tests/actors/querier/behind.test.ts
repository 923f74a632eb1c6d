import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BufferCover } from '../../../actors/protocol/ingest.ts';
import { addScanStats, noScanStats } from '../../../actors/protocol/query.ts';
import { noteWatermark } from '../../../actors/querier/behind.ts';

const NOW_MS = 1_000_000;
const NOW_NS = BigInt(NOW_MS) * 1_000_000n;
const cover = (partitions: number, owned: Record<number, number>): BufferCover => ({
  partitions,
  owned: Object.entries(owned).map(([partition, watermarkMs]) => ({ partition: Number(partition), watermarkMs })),
});

const cases: [what: string, covers: BufferCover[], toNs: bigint, wanted: [watermarkMs: number, behindMs: number, unread: number]][] = [
  ['no Kafka: an answer has all', [], NOW_NS, [Number.POSITIVE_INFINITY, 0, 0]],
  ['the least of all partitions counts', [cover(3, { 0: 900_000, 2: 999_000 }), cover(3, { 1: 990_000 })], NOW_NS, [900_000, 100_000, 0]],
  ['times before it are not touched', [cover(1, { 0: 900_000 })], 900_000n * 1_000_000n, [900_000, 0, 0]],
  ['nor is a clock that is behind', [cover(1, { 0: NOW_MS + 5 })], NOW_NS * 2n, [NOW_MS + 5, 0, 0]],
  ['of two that read a partition the later one knows more', [cover(1, { 0: 10 }), cover(1, { 0: 999_999 })], NOW_NS, [999_999, 1, 0]],
  ['partitions that nobody reads are counted', [cover(4, { 0: NOW_MS }), cover(4, { 3: NOW_MS })], NOW_NS, [NOW_MS, 0, 2]],
  ['one that sees more partitions is believed', [cover(2, { 0: NOW_MS }), cover(3, { 1: NOW_MS })], NOW_NS, [NOW_MS, 0, 1]],
  ['one that is owned is there, though its owner has not heard of so many', [cover(1, { 0: NOW_MS, 3: NOW_MS })], NOW_NS, [NOW_MS, 0, 2]],
  ['nobody reads any', [cover(4, {})], NOW_NS, [0, NOW_MS, 4]],
  ['nobody knows yet how many there are', [cover(0, {})], NOW_NS, [0, NOW_MS, 1]],
];
for (const [what, covers, toNs, [watermarkMs, behindMs, unread]] of cases) {
  test(`what an answer has of Kafka: ${what}`, () => {
    const stats = noScanStats();
    noteWatermark(covers, { toNs, nowMs: NOW_MS }, stats);
    assert.deepEqual([stats.watermarkMs, stats.behindMs, stats.unread], [watermarkMs, behindMs, unread]);
  });
}

test('shards that did not read in time what was to be read before are counted', () => {
  const stats = noScanStats();
  const [whole, late] = [cover(2, { 0: NOW_MS }), { ...cover(2, { 1: NOW_MS }), isLate: true as const }];
  noteWatermark([whole, late], { toNs: NOW_NS, nowMs: NOW_MS }, stats);
  assert.equal(stats.late, 1);
});

test('of several jobs the worst counts, and the rest is added', () => {
  const sum = noScanStats();
  addScanStats(sum, { ...noScanStats(), watermarkMs: 500, behindMs: 7, unread: 1, lines: 3 });
  addScanStats(sum, { ...noScanStats(), watermarkMs: 800, behindMs: 9, unread: 0, lines: 4 });
  addScanStats(sum, noScanStats());
  assert.deepEqual([sum.watermarkMs, sum.behindMs, sum.unread, sum.lines], [500, 9, 1, 7]);
});
