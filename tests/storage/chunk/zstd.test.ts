import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nativeZstd, zlibZstd, zstd } from '../../../storage/chunk/zstd.ts';

const native = nativeZstd();
const inputs: [what: string, bytes: Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.of(7)],
  ['a run', Buffer.alloc(3_000_000, 'abc')],
  ['no pattern', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * index * 31) >>> 3))],
];

test('the native library is used where there is one', () => {
  assert.equal(zstd.library, native === undefined ? 'node:zlib' : 'zstd-napi');
});

for (const writer of [zlibZstd, native ?? zlibZstd]) {
  for (const reader of [zlibZstd, native ?? zlibZstd]) {
    for (const [what, bytes] of inputs) {
      test(`${reader.library} reads what ${writer.library} wrote: ${what}`, () => {
        const frame = Buffer.from(writer.compress(bytes, 3));
        assert.deepEqual(reader.decompress(frame, bytes.length), bytes);
        assert.throws(() => reader.decompress(frame, bytes.length + 1));
        assert.throws(() => reader.decompress(frame.subarray(0, frame.length - 1), bytes.length));
        if (bytes.length > 0) assert.throws(() => reader.decompress(frame, bytes.length - 1));
      });
    }
  }
}

test('what was decompressed belongs to the caller', () => {
  const first = zstd.decompress(zstd.compress(Buffer.from('first'), 3), 5);
  zstd.decompress(zstd.compress(Buffer.from('later'), 3), 5);
  assert.equal(first.toString(), 'first');
});
