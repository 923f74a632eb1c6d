import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ByteReader } from '../../../ops/base/bytes.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { needleHashes } from '../../../storage/chunk/needle-hashes.ts';
import { readFilterDirectory } from '../../../storage/segment/filter-directory.ts';
import { blocksWithout } from '../../../storage/segment/filter-probe.ts';
import { STORED_BYTES } from './filters.ts';

/** How many rows the blocks have that the files were made from. */
const ROWS = [2, 5, 200, 400, 800];

function goldenRow(block: number, row: number): { line: string; traceId: string } {
  const id = createHash('sha256').update(`${block} ${row}`).digest('hex');
  return { line: `level=info trace=${id.slice(0, 32)} naïve 日本語`, traceId: id.slice(32, 48) };
}

// What was written by a version that was ever released must be found by this one.
test('skip filters of v1 are read', async () => {
  const file = (name: string): Buffer => readFileSync(new URL(`../../golden/filters/v1/${name}`, import.meta.url));
  const sections = readFilterDirectory(new ByteReader(file('directory.bin')));
  assert.deepEqual(
    sections.map(({ at, log2Pages, pageBytes, sizes }) => [
      at,
      log2Pages,
      pageBytes,
      ...sizes.map(({ log2Bits, blocks }) => [log2Bits, ...blocks]),
    ]),
    [[123, 2, 3_612, [16, 400_000], [15, 300_000], [14, 200_000], [9, 100_000], [8, 0]]],
  );
  const blobs = new MemoryBlobStore(realWorld().clock);
  await blobs.put('o', file('object.bin'));
  const blocks = new Map(ROWS.map((_, block) => [block * STORED_BYTES, 1e6]));
  const left = async (texts: string[], values: { key: string; value: string }[] = []): Promise<number[]> => {
    const without = await blocksWithout({ hashes: needleHashes({ texts, values }), blocks }, { ranges: blobs, key: 'o', sections });
    return ROWS.map((_, block) => block).filter((block) => !without.has(block * STORED_BYTES));
  };
  for (const [block, rows] of ROWS.entries()) {
    for (let row = 0; row < rows; row++) {
      const { line, traceId } = goldenRow(block, row);
      const values = [{ key: 'trace_id', value: traceId }];
      assert.deepEqual(await left([line]), [block]);
      assert.ok((await left([line.slice(20, 26)])).includes(block));
      assert.ok((await left([], values)).includes(block));
      assert.deepEqual(await left([line.slice(17, 49)], values), [block]);
    }
  }
  assert.deepEqual(await left(['naïve 日本語']), [0, 1, 2, 3, 4]);
  assert.deepEqual(await left(['not in any line']), []);
});
