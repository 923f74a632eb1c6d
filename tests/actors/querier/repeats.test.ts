import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KnownApart, mayRepeat } from '../../../actors/querier/repeats.ts';
import type { SourceUnit } from '../../../actors/querier/sources.ts';
import { type BlockRow, blockOf } from '../../support/blocks.ts';

type Part = [source: number, baseNs: bigint, ...rows: BlockRow[]];
const cases: [may: boolean, what: string, ...parts: Part[]][] = [
  [true, 'one time and one length', [1, 0n, [5, 'a'], [7, 'bb']], [2, 0n, [7, 'cc']]],
  [true, 'one time, counted from other bases', [1, 0n, [5, 'a'], [17, 'bb']], [2, 10n, [7, 'cc']]],
  [true, 'the second of several lines at a time', [1, 0n, [5, 'a'], [5, 'bb']], [2, 0n, [5, 'ccc'], [5, 'dd']]],
  [true, 'the last two of three', [1, 0n, [1, 'a']], [2, 0n, [2, 'b'], [9, 'c']], [3, 0n, [3, 'd'], [9, 'e']]],
  [true, 'empty lines', [1, 0n, [5, '']], [2, 0n, [5, '']]],
  [false, 'one time, other lengths', [1, 0n, [5, 'a'], [7, 'bb']], [2, 0n, [7, 'c']]],
  [false, 'times between each other', [1, 0n, [5, 'a'], [7, 'b']], [2, 0n, [6, 'a'], [8, 'b']]],
  [false, 'equal offsets from other bases', [1, 0n, [5, 'a'], [20, 'b']], [2, 10n, [5, 'a']]],
  [false, 'one source', [1, 0n, [5, 'a']], [1, 0n, [5, 'a']]],
  [false, 'nothing to meet', [1, 0n, [5, 'a']]],
];
for (const [may, what, ...parts] of cases) {
  test(`blocks with ${what} ${may ? 'may' : 'cannot'} repeat each other`, () => {
    const blocks = parts.map(([source, baseNs, ...rows]) => ({ source, block: blockOf(baseNs, rows) }));
    assert.equal(mayRepeat(blocks), may);
    for (const { block } of blocks) assert.ok(!block.touched.has('lines') && !block.touched.has('metadata'));
  });
}

test('blocks whose times are apart are not looked into', () => {
  const blocks = [blockOf(0n, [[5, 'a']]), blockOf(0n, [[6, 'a']])];
  assert.equal(mayRepeat(blocks.map((block, source) => ({ source, block }))), false);
  assert.deepEqual(
    blocks.map(({ touched }) => touched.size),
    [0, 0],
  );
});

/** A block in storage; only what tells it from others. */
const stored = (source: number, minNs: bigint, maxNs: bigint): SourceUnit =>
  ({ kind: 'stored', source, minNs, maxNs, block: {} }) as unknown as SourceUnit;

test('that blocks are apart is known of pairs, and only of those in storage', () => {
  const known = new KnownApart();
  const [a, b, c] = [stored(1, 0n, 10n), stored(2, 5n, 15n), stored(3, 12n, 20n)];
  assert.equal(known.has([a, b]), false);
  known.add([a, b]);
  assert.equal(known.has([a, b]), true);
  assert.equal(known.has([a, b, c]), false); // of the second and third nothing is known
  known.add([b, c]);
  assert.equal(known.has([a, b, c]), true); // the first and the third do not meet
  assert.equal(
    known.has([
      { ...a, source: 7 },
      { ...b, source: 9 },
    ]),
    true,
  ); // sources are numbered anew for each question
  assert.equal(known.has([a, stored(2, 5n, 15n)]), false);
  assert.equal(known.has([stored(1, 0n, 10n), stored(1, 5n, 15n)]), true);
  const head = { kind: 'head', source: 4, minNs: 0n, maxNs: 30n } as unknown as SourceUnit;
  known.add([a, head]);
  assert.equal(known.has([a, head]), false);
});
