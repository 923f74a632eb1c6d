import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardBounds } from '../../../logql/engine/shard-bounds.ts';

const stream = (hash: number, bytes: number) => ({ hash: hash.toString(16).padStart(16, '0'), bytes, entries: 2, chunks: 3 });
const LAST = 18_446_744_073_709_551_615n;
type Shard = [min: bigint, max: bigint, streams: number, bytes: number];
const cases: [what: string, streams: [hash: number, bytes: number][], target: number, shards: Shard[]][] = [
  ['no stream', [], 10, [[0n, LAST, 0, 0]]],
  [
    'all in one',
    [
      [5, 3],
      [1, 4],
    ],
    10,
    [[0n, LAST, 2, 7]],
  ],
  [
    'as many as come near the target',
    [
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 1],
    ],
    10,
    [
      [0n, 3n, 3, 12],
      [4n, LAST, 1, 1],
    ],
  ],
  [
    'a stream that is too large is alone',
    [
      [1, 5],
      [2, 50],
      [3, 5],
    ],
    10,
    [
      [0n, 1n, 1, 5],
      [2n, 2n, 1, 50],
      [3n, LAST, 1, 5],
    ],
  ],
  [
    'a stream that is too large comes first',
    [
      [1, 50],
      [2, 5],
    ],
    10,
    [
      [0n, 1n, 1, 50],
      [2n, LAST, 1, 5],
    ],
  ],
];
for (const [what, streams, target, shards] of cases) {
  test(`shards: ${what}`, () => {
    const found = shardBounds(
      streams.map(([hash, bytes]) => stream(hash, bytes)),
      target,
    );
    assert.deepEqual(
      found.map(({ min, max, stats }): Shard => [min, max, stats.streams, stats.bytes]),
      shards,
    );
    for (const { stats } of found) assert.deepEqual([stats.entries, stats.chunks], [stats.streams * 2, stats.streams * 3]);
  });
}
