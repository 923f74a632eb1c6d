import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printBinaryBytes } from '../../../ops/base/bytes.ts';

const printed: [bytes: number, text: string][] = [
  [0, '0 B'],
  [10, '10 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [1_587, '1.5 KiB'],
  [10_240, '10 KiB'],
  [150 * 1_024 ** 3, '150 GiB'],
];
for (const [bytes, text] of printed) test(`${bytes} bytes are ${text}`, () => assert.equal(printBinaryBytes(bytes), text));
