import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recycle, usedMemory } from '../../../ops/base/used-memory.ts';

test('what was taken back is given out again, and empty for those who had it', () => {
  const first = usedMemory(300_000);
  const view = first.subarray(10, 20);
  first.fill(7);
  recycle(first);
  assert.equal(view.length, 0);
  recycle(first);
  const second = usedMemory(310_000);
  assert.equal(second.length, 310_000);
  assert.ok(second.subarray(0, 300_000).every((byte) => byte === 7));
  const third = usedMemory(310_000);
  assert.notEqual(third.buffer, second.buffer);
});

test('other buffers are left alone', () => {
  const own = Buffer.alloc(300_000, 1);
  recycle(own);
  assert.equal(own[299_999], 1);
  const small = usedMemory(100);
  recycle(small);
  assert.equal(small.length, 100);
});

test('no more is kept than a few blocks', () => {
  const many = Array.from({ length: 20 }, () => usedMemory(1_000_000));
  const memories = new Set(many.map(({ buffer }) => buffer.byteLength));
  assert.equal(memories.size, 1);
  for (const one of many) {
    one.fill(9);
    recycle(one);
  }
  const again = Array.from({ length: 20 }, () => usedMemory(1_000_000));
  const used = again.filter((one) => one.every((byte) => byte === 9)).length;
  assert.ok(used > 0 && used <= 8, `${used}`);
});
