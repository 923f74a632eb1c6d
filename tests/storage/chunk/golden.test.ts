import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ByteReader, ByteWriter } from '../../../ops/base/bytes.ts';
import { readBlockHeader, StoredBlock, writeBlockHeader } from '../../../storage/chunk/block.ts';
import { chunkId } from '../../../storage/chunk/chunk.ts';
import { Head } from '../../../storage/chunk/head.ts';
import { batchOf, HOUR, rowsOf } from './rows.ts';

// Files of every version that was ever released stay as they are: what was written then must be read now.
const file = (name: string): Buffer => readFileSync(new URL(`../../golden/block/v1/${name}`, import.meta.url));

test('a block of version 1 is read', () => {
  const { baseNs, tenant, labels, chunkId: id, rows } = JSON.parse(file('expected.json').toString());
  const headerBytes = file('header.bin');
  const header = readBlockHeader(new ByteReader(headerBytes));
  const found = rowsOf(new StoredBlock(header, file('block.bin'), BigInt(baseNs)));
  assert.deepEqual(
    found.map((row) => ({ ...row, time: String(row.time) })),
    rows,
  );
  const out = new ByteWriter();
  writeBlockHeader(out, header);
  assert.deepEqual(out.view(), headerBytes);
  const head = new Head(HOUR);
  head.append(batchOf(found));
  assert.equal(chunkId(tenant, labels, head.block()), id);
});
