import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readFooter } from '../../../storage/segment/reader.ts';
import { decodeAll, storeOf } from './decode-all.ts';

// Files of every version that was ever released stay as they are: what was written then must be read now.
const file = (name: string): Buffer => readFileSync(new URL(`../../golden/segment/v1/${name}`, import.meta.url));

test('a segment of version 1 is read', async () => {
  const { streams, ...info } = JSON.parse(file('expected.json').toString());
  const object = file('segment.bin');
  const footer = await readFooter(storeOf(object), 'golden', object.length);
  assert.deepEqual({ log: footer.log, from: footer.from, to: footer.to }, info);
  const found = Object.entries(await decodeAll(object)).map(([stream, rows]) => [
    stream,
    rows.map((row) => ({ ...row, time: String(row.time) })),
  ]);
  assert.deepEqual(Object.fromEntries(found), streams);
});
