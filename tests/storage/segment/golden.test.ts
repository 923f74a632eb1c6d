import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Footer } from '../../../storage/segment/footer.ts';
import { readFooter } from '../../../storage/segment/reader.ts';
import { decodeAll, storeOf } from './decode-all.ts';

/** What the files of each version say of the object as a whole. */
const INFO: Record<string, (footer: Footer) => object> = {
  v1: ({ log, from, to }) => ({ log, from, to }),
  v2: ({ level, deletesApplied, oldestMs, closure, cover }) => ({
    level,
    deletesApplied,
    oldestMs,
    closure: [...closure.keys()],
    cover: Object.fromEntries(cover),
  }),
  v3: ({ level, deletesApplied, oldestMs, first, closure, cover }) => ({
    level,
    deletesApplied,
    oldestMs,
    first,
    closure: [...closure.keys()],
    cover: Object.fromEntries(cover),
  }),
  v4: ({ log, from, to, lastMs }) => ({ log, from, to, lastMs }),
};

// Files of every version that was ever released stay as they are: what was written then must be read now.
for (const [version, infoOf] of Object.entries(INFO)) {
  test(`an object of ${version} is read`, async () => {
    const file = (name: string): Buffer => readFileSync(new URL(`../../golden/segment/${version}/${name}`, import.meta.url));
    const { streams, ...info } = JSON.parse(file('expected.json').toString());
    const object = file('segment.bin');
    const footer = await readFooter(storeOf(object), 'golden', object.length);
    assert.deepEqual(infoOf(footer), info);
    const found = Object.entries(await decodeAll(object)).map(([stream, rows]) => [
      stream,
      rows.map((row) => ({ ...row, time: String(row.time) })),
    ]);
    assert.deepEqual(Object.fromEntries(found), streams);
  });
}
