import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesOf } from '../../../ops/cli/lines.ts';

async function lines(chunks: readonly (string | Buffer)[]): Promise<string[]> {
  const source = (async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  })();
  const found: string[] = [];
  for await (const piece of linesOf(source)) found.push(...piece.lines);
  return found;
}

const euro = Buffer.from('€');
const cases: [what: string, chunks: (string | Buffer)[], lines: string[]][] = [
  ['ends with a newline', ['a\nb\n'], ['a', 'b']],
  ['ends without one', ['a\nb'], ['a', 'b']],
  ['keeps empty lines', ['\n\na\n'], ['', '', 'a']],
  ['spans chunks', ['a', 'b\nc', 'd\n'], ['ab', 'cd']],
  ['drops carriage returns before newlines only', ['a\r\nb\rc\r', '\n'], ['a', 'b\rc']],
  ['joins a character cut by chunks', [euro.subarray(0, 1), euro.subarray(1), '\n'], ['€']],
  ['replaces what is not UTF-8', [Buffer.from([0x61, 0xff, 0x0a])], ['a\ufffd']],
  ['replaces a character cut by the end', [euro.subarray(0, 2)], ['\ufffd']],
  ['of nothing', [], []],
];
for (const [what, chunks, expected] of cases) test(`lines: ${what}`, async () => assert.deepEqual(await lines(chunks), expected));
