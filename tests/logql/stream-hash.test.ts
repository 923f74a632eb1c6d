import assert from 'node:assert/strict';
import test from 'node:test';
import type { Labels } from '../../logql/model.ts';
import { streamHash } from '../../logql/stream-hash.ts';

test('the hash of no labels is that of no bytes', () => assert.equal(streamHash([]), 0xef46db3751d8e999n));

const LONG = 'x'.repeat(100);
// By Prometheus' labels.StableHash.
const hashes: [labels: Labels, hash: bigint][] = [
  [
    [
      ['app', 'eq'],
      ['s', 's1'],
      ['service_name', 'eq'],
    ],
    3477263722601364094n,
  ],
  [
    [
      ['app', 'eq'],
      ['s', 's10'],
      ['service_name', 'eq'],
    ],
    3041232089183461590n,
  ],
];
for (const [labels, hash] of hashes) test(`the hash of ${labels.join(' ')}`, () => assert.equal(streamHash(labels), hash));

test('every byte of a long value counts', () => {
  const seen = new Set(Array.from(LONG, (_, at) => streamHash([['a', `${LONG.slice(0, at)}y${LONG.slice(at + 1)}`]])));
  assert.equal(seen.size, LONG.length);
});
