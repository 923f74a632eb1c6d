import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { MetadataColumn } from '../../../logql/model.ts';
import { KiB, MiB } from '../../../ops/base/bytes.ts';
import { GRAM_BYTES } from '../../../storage/chunk/gram-hash.ts';
import { needleHashes } from '../../../storage/chunk/needle-hashes.ts';
import { MAX_LOG2_BITS, MIN_LOG2_BITS, type SkipFilter, SkipFilterMaker, unfolded } from '../../../storage/chunk/skip-filter.ts';
import { pick, random, seeds } from './rows.ts';

const maker = new SkipFilterMaker();
const NO_METADATA: readonly MetadataColumn[] = [];

function filterOf(lines: readonly string[], metadata = NO_METADATA): SkipFilter {
  const filter = maker.make(Buffer.from(lines.join('')), metadata);
  assert.ok(filter !== undefined);
  return filter;
}

function has({ log2Bits, words }: SkipFilter, hash: number): boolean {
  const bit = hash >>> (32 - log2Bits);
  return ((words[bit >>> 5] >>> (bit & 31)) & 1) === 1;
}

const passes = (filter: SkipFilter, hashes: Uint32Array): boolean => hashes.every((hash) => has(filter, hash));
const text = (needle: string): Uint32Array => needleHashes({ texts: [needle], values: [] });
const value = (key: string, value: string): Uint32Array => needleHashes({ texts: [], values: [{ key, value }] });

function fill({ log2Bits, words }: SkipFilter): number {
  let count = 0;
  for (let bit = 0; bit < 2 ** log2Bits; bit++) count += (words[bit >>> 5] >>> (bit & 31)) & 1;
  return count / 2 ** log2Bits;
}

/** Every part of the line that has so many characters or more, up to 40. */
function* partsOf(line: string): Generator<string> {
  const characters = [...line];
  for (let from = 0; from < characters.length; from++) {
    for (let to = from + 1; to <= Math.min(characters.length, from + 40); to++) {
      const part = characters.slice(from, to).join('');
      if (Buffer.byteLength(part) >= GRAM_BYTES) yield part;
    }
  }
}

const hex = (next: () => number, digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(next() * 16).toString(16)).join('');

function randomLine(next: () => number): string {
  const word = (): string => pick(next, ['é🦊', 'ünïcode', '\u0000', 'status=500', '"id":', '日本語', ' ', hex(next, 12), String(next())]);
  return Array.from({ length: Math.floor(next() * 9) }, word).join(pick(next, ['', ' ', ',']));
}

const real = ['README.md', 'ARCHITECTURE.md', 'storage/segment/FORMAT.md'].flatMap((name) =>
  readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8').split('\n'),
);

for (const [what, lines] of [
  ...seeds(20).map((seed) => {
    const next = random(seed);
    return [`random, seed ${seed}`, Array.from({ length: 1 + Math.floor(next() * 60) }, () => randomLine(next))] as const;
  }),
  ['real', real] as const,
]) {
  test(`a filter lets every part of every line through, lines ${what}`, () => {
    const filter = filterOf(lines);
    for (const line of lines.length > 300 ? lines.filter((_, number) => number % 7 === 0) : lines)
      for (const part of partsOf(line)) assert.ok(passes(filter, text(part)), part);
  });
}

for (const seed of seeds(20)) {
  test(`a filter lets every value of metadata through, under its own key, seed ${seed}`, () => {
    const next = random(seed);
    const columns = ['trace_id', 'k', 'ключ'].map((key) => ({
      key,
      values: [...new Set(Array.from({ length: 1 + Math.floor(next() * 200) }, () => pick(next, [randomLine(next), hex(next, 32)])))],
      index: new Uint8Array(0),
    }));
    const filter = filterOf(['a line'], columns);
    for (const { key, values } of columns) for (const one of values) assert.ok(passes(filter, value(key, one)), one);
    const strange = Array.from({ length: 400 }, () => [pick(next, columns).key, hex(next, 32)] as const);
    assert.ok(strange.filter(([key, one]) => passes(filter, value(key, one))).length < 20);
    const elsewhere = columns[0].values.filter((one) => !columns[1].values.includes(one));
    assert.ok(elsewhere.filter((one) => passes(filter, value('k', one))).length <= elsewhere.length / 4 + 3);
  });
}

test('ids that no line has are not let through, short texts tell nothing', () => {
  const next = random(7);
  const lines = Array.from({ length: 5_000 }, (_, number) => `{"n":${number},"trace":"${hex(next, 32)}","span":"${hex(next, 16)}"}`);
  const filter = filterOf(lines);
  assert.ok(fill(filter) <= 0.5 && fill(filter) > 0.25, `${fill(filter)} of the bits are set`);
  for (const digits of [32, 16]) {
    const through = Array.from({ length: 2_000 }, () => hex(next, digits)).filter((id) => passes(filter, text(id)));
    assert.ok(through.length < 10, `${through.length} ids of ${digits} digits`);
  }
  assert.equal(text('short').length, 0);
  assert.equal(text('longer').length, 1);
});

test('the first hashes of a needle come from all over it', () => {
  const needle = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyzABCDEF');
  const places = new Map(Array.from({ length: needle.length - 5 }, (_, at) => [text(needle.toString('latin1', at, at + 6))[0], at]));
  const order = [...text(needle.toString())].map((hash) => places.get(hash)!);
  assert.deepEqual(
    order.toSorted((a, b) => a - b),
    [...places.values()],
  );
  for (let from = 0; from + 8 <= order.length; from += 8) {
    const some = order.slice(from, from + 8);
    for (const part of [0, 1, 2])
      assert.ok(
        some.some((at) => Math.floor((at * 3) / order.length) === part),
        `${some}`,
      );
  }
});

for (const [what, lines, log2Bits] of [
  ['nothing', '', MIN_LOG2_BITS],
  ['one line', 'status=500 path=/x', MIN_LOG2_BITS],
  ['the same again and again', 'status=500 path=/x'.repeat(50_000), MIN_LOG2_BITS],
] as const) {
  test(`a filter of ${what} is small`, () => assert.equal(filterOf([lines]).log2Bits, log2Bits));
}

test('a block that is too large for any filter has none', () => {
  const next = random(3);
  const noise = (size: number): Buffer => Buffer.from(Uint8Array.from({ length: size }, () => next() * 256));
  assert.equal(maker.make(noise(2 * MiB), NO_METADATA), undefined);
  assert.equal(maker.make(noise(512 * KiB), NO_METADATA)?.log2Bits, MAX_LOG2_BITS);
  // What was in memory for it is gone.
  assert.equal(filterOf(['status=500 path=/x']).log2Bits, MIN_LOG2_BITS);
});

test('a filter made larger lets the same through', () => {
  const next = random(11);
  const lines = Array.from({ length: 30 }, () => hex(next, 20));
  const filter = filterOf(lines);
  for (const larger of [0, 1, 4]) {
    const other = unfolded(filter, filter.log2Bits + larger);
    assert.equal(other.log2Bits, filter.log2Bits + larger);
    for (let trial = 0; trial < 5_000; trial++) {
      const hash = Math.floor(next() * 2 ** 32);
      assert.equal(has(other, hash), has(filter, hash));
    }
  }
  assert.deepEqual(unfolded(filter, 0), filter);
});
