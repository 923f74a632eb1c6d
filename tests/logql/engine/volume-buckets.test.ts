import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VolumeBuckets } from '../../../logql/engine/volume-buckets.ts';

const S = 1_000_000_000n;
type Bucket = [from: bigint, to: bigint, stamp: bigint];
const cases: [what: string, startNs: bigint, endNs: bigint, stepNs: bigint, buckets: Bucket[]][] = [
  ['one piece', 5n * S, 9n * S, 0n, [[5n * S, 9n * S + 1n, 9n * S]]],
  ['one time', 5n * S, 5n * S, 0n, [[5n * S, 5n * S + 1n, 5n * S]]],
  ['one time with a step', 5n * S, 5n * S, 10n * S, [[5n * S, 5n * S + 1n, 5n * S]]],
  [
    'whole steps',
    20n * S,
    40n * S,
    10n * S,
    [
      [20n * S, 30n * S, 30n * S - 1_000_000n],
      [30n * S, 40n * S + 1n, 40n * S],
    ],
  ],
  [
    'pieces of a step at both ends',
    15n * S,
    31n * S,
    10n * S,
    [
      [15n * S, 20n * S, 20n * S - 1_000_000n],
      [20n * S, 30n * S, 30n * S - 1_000_000n],
      [30n * S, 31n * S + 1n, 31n * S],
    ],
  ],
  [
    'before the epoch',
    -15n * S,
    -5n * S,
    10n * S,
    [
      [-15n * S, -10n * S, -10n * S - 1_000_000n],
      [-10n * S, -5n * S + 1n, -5n * S],
    ],
  ],
];
for (const [what, startNs, endNs, stepNs, expected] of cases) {
  test(`volume buckets: ${what}`, () => {
    const buckets = new VolumeBuckets({ startNs, endNs, stepNs: Number(stepNs) });
    const all = Array.from(
      { length: buckets.count },
      (_, bucket): Bucket => [buckets.startNs(bucket), buckets.endNs(bucket), buckets.stampNs(bucket)],
    );
    assert.deepEqual(all, expected);
    for (const [bucket, [from, to]] of expected.entries()) {
      assert.equal(buckets.bucketOf(from), bucket);
      assert.equal(buckets.bucketOf(to - 1n), bucket);
    }
  });
}
