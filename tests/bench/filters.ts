import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { seededRandom } from '../../ops/base/world-fake.ts';
import { SkipFilterMaker } from '../../storage/chunk/skip-filter.ts';
import { zstd } from '../../storage/chunk/zstd.ts';
import { lineMaker } from './corpus.ts';
import { everyGram, shipped, type TextBlock, type Variant, winnowed } from './filter-variants.ts';

const USAGE = `usage: node tests/bench/filters.ts [options] [NAME=PATH[,PATH...]...]

Compares skip filters of several parameters on the benchmark's corpus, and on the lines of files and folders: their size, and how many blocks are
read for ids, addresses and words that are in some lines, and for ids that are in none.

  --mib N          of each application of the corpus (24); 0 leaves it out
  --block-kib N    lines of a block (1024)
  --needles N      of each kind (60)`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mib: { type: 'string', default: '24' },
    'block-kib': { type: 'string', default: '1024' },
    needles: { type: 'string', default: '60' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const VARIANTS: readonly Variant[] = [
  shipped,
  ...[4, 5, 6, 7, 8].map(everyGram),
  winnowed(6, 4, 8, 3),
  winnowed(6, 6, 8, 3),
  winnowed(8, 8, 6, 2),
  winnowed(6, 4, 2, 1),
];

const KINDS: Readonly<Record<string, RegExp>> = {
  '32 hex': /(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g,
  '16 hex': /(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])/g,
  IPv4: /\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b/g,
  word: /[A-Za-z_][A-Za-z0-9_.-]{7,}/g,
};
const MAX_FILE_BYTES = 64 * MiB;
const random = seededRandom(1);
const below = (limit: number): number => Math.floor(random.next() * limit);
const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)];

interface DataSet {
  readonly name: string;
  readonly lines: readonly Buffer[];
}

function corpusSets(bytes: number): DataSet[] {
  const line = lineMaker(1);
  return ['json', 'logfmt', 'access log'].map((name, kind) => {
    const lines: Buffer[] = [];
    for (let size = 0, ms = 1.7e12; size < bytes; ms += 15)
      size += lines[lines.push(Buffer.from(line(kind, new Date(ms).toISOString()))) - 1].length;
    return { name, lines };
  });
}

function* filesIn(path: string): Generator<string> {
  if (!existsSync(path)) return;
  if (statSync(path).isFile()) yield path;
  else for (const name of readdirSync(path).sort()) yield* filesIn(join(path, name));
}

function linesOf(paths: readonly string[]): Buffer[] {
  const lines: Buffer[] = [];
  let bytes = 0;
  for (const file of paths.flatMap((path) => [...filesIn(path)])) {
    if (bytes > MAX_FILE_BYTES) break;
    const content = readFileSync(file);
    bytes += content.length;
    for (let from = 0; from < content.length; ) {
      const end = content.indexOf(10, from);
      const to = end < 0 ? content.length : end;
      if (to > from) lines.push(content.subarray(from, to));
      from = to + 1;
    }
  }
  return lines;
}

function blocksOf(lines: readonly Buffer[]): TextBlock[] {
  const blocks: TextBlock[] = [];
  let block: Buffer[] = [];
  let size = 0;
  const end = (): void => {
    const text = Buffer.concat(block);
    blocks.push({ text, storedBytes: zstd.compress(text, 3).length });
    [block, size] = [[], 0];
  };
  for (const line of lines) {
    size += line.length;
    if (block.push(line) && size >= Number(options['block-kib']) * KiB) end();
  }
  if (size > 0) end();
  return blocks;
}

/** Some of each kind that lines have, and ids that none has. */
function needlesOf(lines: readonly Buffer[]): [kind: string, needles: string[]][] {
  const wanted = Number(options.needles);
  const found = Object.entries(KINDS).map(([kind, pattern]): [string, string[]] => {
    const needles = new Set<string>();
    for (let tries = 0; tries < 100 * wanted && needles.size < wanted; tries++) {
      const matches = pick(lines).toString().match(pattern);
      if (matches !== null) needles.add(pick(matches));
    }
    return [kind, [...needles]];
  });
  const hex = (digits: number): string => Array.from({ length: digits }, () => below(16).toString(16)).join('');
  const absent = [32, 16].map((digits): [string, string[]] => [`no ${digits} hex`, Array.from({ length: wanted }, () => hex(digits))]);
  return [...found.filter(([, needles]) => needles.length > 0), ...absent];
}

async function compare({ name, lines }: DataSet): Promise<void> {
  const blocks = blocksOf(lines);
  const needles = needlesOf(lines);
  const stored = blocks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const lineBytes = lines.reduce((sum, { length }) => sum + length, 0);
  console.log(
    `\n${name}: ${lines.length} lines of ${fixed(lineBytes / lines.length)} bytes, ${fixed(stored / lines.length)} in zstd, ${blocks.length} blocks`,
  );
  console.log(`filters made at ${fixed(speedOf(blocks))} MB/s; blocks read for a needle, and how many hold it\n`);
  const holding = needles.map(([, some]) => mean(some.map((needle) => blocks.filter(({ text }) => text.includes(needle)).length)));
  const rows = [
    ['', 'bytes a line', 'of zstd', ...needles.map(([kind]) => kind)],
    ['held by', '', '', ...holding.map(fixed)],
  ];
  for (const variant of VARIANTS) {
    const built = await variant.build(blocks);
    const read = await Promise.all(
      needles.map(async ([, some]) => mean(await Promise.all(some.map(async (one) => (await built.left(one)).length)))),
    );
    rows.push([variant.name, fixed(built.bytes / lines.length), `${Math.round((built.bytes / stored) * 100)} %`, ...read.map(fixed)]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(`| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`);
}

/** MB of lines a second, the best of some rounds. */
function speedOf(blocks: readonly TextBlock[]): number {
  const maker = new SkipFilterMaker();
  const rounds = Array.from({ length: 5 }, () => {
    const started = performance.now();
    for (const { text } of blocks) maker.make(text, []);
    return blocks.reduce((sum, { text }) => sum + text.length, 0) / 1e3 / (performance.now() - started);
  });
  return Math.max(...rounds);
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / Math.max(1, numbers.length);
const fixed = (number: number): string => number.toFixed(number < 100 ? 1 : 0);

if (options.help) console.log(USAGE);
else {
  const corpusBytes = Number(options.mib) * MiB;
  if (corpusBytes > 0) for (const set of corpusSets(corpusBytes)) await compare(set);
  for (const argument of positionals) {
    const [name, paths] = argument.split('=');
    const lines = linesOf((paths ?? name).split(','));
    if (lines.length === 0) console.log(`\n${name}: no lines`);
    else await compare({ name, lines });
  }
}
