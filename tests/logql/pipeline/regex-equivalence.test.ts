import assert from 'node:assert/strict';
import test from 'node:test';
import { compileRegex } from '../../../logql/pipeline/regex.ts';
import { repairUtf8 } from '../../../logql/pipeline/utf8-repair.ts';
import { Re2jsRegex } from '../../support/re2js-reference.ts';
import { randomFrom } from './block-of.ts';

const ATOMS =
  'a b c k s é ☕ 🦊 1 . . \\d \\w \\s \\W \\D [a-c] [^a] [^b1] [é-ü] [a☕] \\pL \\p{Greek} [[:alpha:]] [^[:space:]] \\n σ \\x{e9} \\xe9 \\. _ ß a?b? (|a) (?:) [^\\d] [[:^alpha:]] \\PL \\p{Lu} [^\\x00-\\x7f] [\\x{80}-\\x{7ff}] \\Qa.\\E \\x{fffd} [\\s\\S]'.split(
    ' ',
  );
const CHARS = [
  'a',
  'b',
  'c',
  'A',
  'K',
  '\u212a',
  's',
  'ſ',
  'é',
  'É',
  '☕',
  '🦊',
  '1',
  '2',
  ' ',
  '\n',
  '\r',
  'σ',
  'ς',
  'Σ',
  '_',
  'ß',
  'ẞ',
  '.',
];
const STRAY = [0x80, 0xc3, 0xff, 0xe2, 0xa9, 0xf0, 0xed];
const LINES = 10;

class Generator {
  readonly #random: () => number;
  #names = 0;
  constructor(seed: number) {
    this.#random = randomFrom(seed);
  }
  chance(share: number): boolean {
    return this.#random() < share;
  }
  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)];
  }
  pattern(depth: number): string {
    const inner = () => this.pattern(depth - 1);
    const makers: readonly (() => string)[] = [
      () => inner() + inner(),
      () => inner() + inner(),
      () => `(?:${inner()}|${inner()})`,
      () => `(${inner()})`,
      () => `(?P<n${this.#names++}>${inner()}|${inner()})`,
      () => `(?:${inner()})${this.pick(['*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?', '{2,}', '{0}', '{3}?', '{1,17}'])}`,
      () => this.pick(['^', '$', '\\b', '\\A', '\\z', '\\B', '(?m:^)', '(?m:$)']) + inner(),
      () => inner() + this.pick(['^', '$', '\\b', '\\z']),
      () => `(?${this.pick(['i', 's', 'U', 'is', 'm', 'ims', '-s'])}:${inner()})`,
    ];
    return depth === 0 || this.chance(0.35) ? this.pick(ATOMS) : this.pick(makers)();
  }
  line(): Buffer {
    const parts = Array.from({ length: Math.floor(this.#random() * (this.chance(0.1) ? 40 : 9)) }, () =>
      this.chance(0.05) ? Buffer.from([this.pick(STRAY)]) : Buffer.from(this.pick(CHARS)),
    );
    return Buffer.concat(parts);
  }
}

/** As many of the matches in valid UTF-8 as there are, as Go's regexp finds them one behind the other. */
function expectedAll(reference: Re2jsRegex, text: Buffer): number[][] {
  const out: number[][] = [];
  let behind = -1;
  for (let at = 0; at <= text.length; ) {
    const found = reference.captures(text, at);
    if (found === undefined) break;
    const [start, end] = found;
    if (start < end || start !== behind) out.push([...found]);
    behind = end;
    if (end > at) at = end;
    else for (at++; at < text.length && (text[at] & 0xc0) === 0x80; ) at++;
  }
  return out;
}

const PATTERNS = 250;
/** Patterns and lines that are compared: 10,000 of them, in a soak 250,000 others. */
const SEEDS = Number(process.env.SEEDS ?? 4);
const FIRST = Number(process.env.SEED ?? 1);

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`regex: matches, captures and rows are those of re2js, seed ${seed}`, () => {
    const generator = new Generator(seed);
    for (let count = 0; count < PATTERNS; count++) {
      const pattern = generator.pattern(4);
      const options = { anchored: generator.chance(0.2), dotNewline: generator.chance(0.5) };
      const reference = new Re2jsRegex(pattern, options);
      const regex = compileRegex(pattern, options);
      const lines = Array.from({ length: LINES }, () => generator.line());
      const expectedRows: number[] = [];
      for (const [row, line] of lines.entries()) {
        const what = `${JSON.stringify(pattern)} ${JSON.stringify(options)} on ${line.toString('hex')}`;
        const repaired = repairUtf8(line, 0, line.length);
        const original = (found: readonly number[]) => found.map((at) => (at < 0 || repaired === undefined ? at : repaired.original(at)));
        const all = expectedAll(reference, repaired?.bytes ?? line).map(original);
        const first = reference.captures(repaired?.bytes ?? line, 0);
        if (first !== undefined) expectedRows.push(row);
        assert.equal(regex.test(line, 0, line.length), first !== undefined, what);
        const found = regex.captures(line, 0, line.length);
        assert.deepEqual(found && [...found], first && original([...first]), what);
        assert.deepEqual(
          Array.from(regex.allCaptures(line), (match) => [...match]),
          all,
          `every match of ${what}`,
        );
      }
      const ends = Uint32Array.from(lines, (_, row) => lines.slice(0, row + 1).reduce((sum, { length }) => sum + length, 0));
      const rows = Uint32Array.from({ length: LINES }, (_, row) => row);
      const kept = regex.rowsMatching(Buffer.concat(lines), ends, rows, LINES);
      assert.deepEqual([...rows.subarray(0, kept)], expectedRows, `rows of ${JSON.stringify(pattern)}`);
    }
  });
}
