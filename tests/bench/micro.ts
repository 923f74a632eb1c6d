// Single stages: npm run bench -- --micro [--mib 32] [--rounds 7]
// MB of lines a second, on one thread, the best of some rounds; beside decompression, search and copies of the same bytes, which are what the machine can do at most.
import { parseArgs } from 'node:util';
import { sampleExecution } from '../../logql/engine/sample-execution.ts';
import { finish } from '../../logql/engine/steps.ts';
import { compilePipeline } from '../../logql/pipeline/compile.ts';
import type { Observed } from '../../logql/pipeline/pipeline.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { MiB } from '../../ops/base/bytes.ts';
import { type BlockHeader, StoredBlock, writeBlock } from '../../storage/chunk/block.ts';
import { MemoryBlock } from '../../storage/chunk/memory-block.ts';
import { zstd } from '../../storage/chunk/zstd.ts';
import { lineMaker } from './corpus.ts';
import { round } from './measure.ts';

const { values: options } = parseArgs({
  options: { micro: { type: 'boolean' }, mib: { type: 'string', default: '32' }, rounds: { type: 'string', default: '7' } },
});

const BASE_NS = 1_768_471_200_000_000_000n;
const HOUR_NS = 3_600_000_000_000n;
const STEP_NS = 5_000_000;
const BLOCK_BYTES = MiB;
const LEVEL = 3;
const KINDS = ['json', 'logfmt', 'access log'];

interface Made {
  readonly block: MemoryBlock;
  readonly header: BlockHeader;
  /** All columns as they are stored. */
  readonly stored: Buffer;
  readonly frame: Buffer;
}

const sets = KINDS.map((_, kind) => blocksOf(kind, (Number(options.mib) * MiB) / KINDS.length));
const all = sets.flat();
const [json, logfmt] = sets;
const limits = { decompress: 0, search: 0, copy: 0 };
const target = Buffer.allocUnsafeSlow(2 * BLOCK_BYTES);
const absent = Buffer.from('no line has this');

console.log(`${all.length} blocks, MB of lines a second; ratios to decompression, search and copies`);
limits.decompress = measure('zstd decompression', all, ({ frame, block }) => zstd.decompress(frame, block.lineBytes));
limits.search = measure('Buffer.indexOf', all, ({ block }) => block.lines().indexOf(absent));
limits.copy = measure('copy', all, ({ block }) => block.lines().copy(target));
measure('decode all columns', all, (made) => {
  const block = storedBlock(made);
  block.times();
  block.ends();
  block.metadata();
  block.lines();
});
measure('decode times and ends', all, (made) => {
  const block = storedBlock(made);
  block.times();
  block.ends();
});
stage('literal filter, few lines', all, '{a="b"} |= "connection reset by peer"', new Set());
stage('literal filter, no line', all, '{a="b"} |= "no line has this"', new Set());
stage('regex filter', all, '{a="b"} |~ "status=5\\\\d\\\\d"', new Set());
stage('regex filter, any case', all, '{a="b"} |~ "(?i)(timeout|RESET by)"', new Set());
stage('json, all labels', json, '{a="b"} | json', 'all');
stage('json, one label', json, '{a="b"} | json', new Set(['path']));
stage('json path="path"', json, '{a="b"} | json path="path"', new Set(['path']));
stage('logfmt, all labels', logfmt, '{a="b"} | logfmt', 'all');
stage('logfmt, one label', logfmt, '{a="b"} | logfmt', new Set(['duration']));
count('count', all, 'sum(count_over_time({a="b"}[1h]))');
count('count by seconds', all, 'sum(count_over_time({a="b"}[1s]))', 1);
count('count of a literal filter', all, 'sum(count_over_time({a="b"} |= "connection reset by peer" [1h]))');
count('sum by path of json', json, 'sum by (path) (count_over_time({a="b"} | json [1h]))');

function blocksOf(kind: number, bytes: number): Made[] {
  const line = lineMaker(1);
  const made: Made[] = [];
  let offset = 0;
  for (let done = 0; done < bytes; done += made[made.length - 1].block.lineBytes) {
    const lines: Buffer[] = [];
    const times: number[] = [];
    for (let size = 0; size < BLOCK_BYTES; size += lines[lines.length - 1].length, offset += STEP_NS) {
      lines.push(Buffer.from(line(kind, new Date(1.7e12 + offset / 1e6).toISOString())));
      times.push(offset);
    }
    let end = 0;
    const ends = Uint32Array.from(lines, ({ length }) => {
      end += length;
      return end;
    });
    const block = new MemoryBlock({
      baseNs: BASE_NS,
      times: Float64Array.from(times),
      ends,
      lines: Buffer.concat(lines),
      metadata: [],
      metadataBytes: 0,
    });
    const parts: Buffer[] = [];
    const header = writeBlock(block, (part) => parts.push(Buffer.from(part)), LEVEL);
    made.push({ block, header, stored: Buffer.concat(parts), frame: Buffer.from(zstd.compress(block.lines(), LEVEL)) });
  }
  return made;
}

function storedBlock({ header, stored }: Made): StoredBlock {
  return new StoredBlock(header, stored, BASE_NS);
}

/** Blocks are decompressed already. */
function stage(what: string, blocks: readonly Made[], query: string, observed: Observed): void {
  const expr = parseExpr(query);
  if (expr.kind !== 'log') throw new Error(`not a log query: ${query}`);
  const bound = compilePipeline(expr.stages, { observed }).forStream([['a', 'b']]);
  const rows = new Uint32Array(Math.max(...blocks.map(({ block }) => block.rows)));
  measure(what, blocks, ({ block }) => {
    const left = bound.select(block, 0, block.rows, rows);
    for (let index = 0; index < left; index++) bound.apply(block, rows[index]);
  });
}

/** The whole of a query on one querier, over decompressed blocks; a block whose header tells all is not looked at. `stepS`: a step that long, over all the time
 *  of the blocks; without it there is one step. */
function count(what: string, blocks: readonly Made[], query: string, stepS?: number): void {
  const endNs = BASE_NS + HOUR_NS;
  const times = stepS === undefined ? { startNs: endNs, endNs, stepNs: 0 } : { startNs: BASE_NS, endNs, stepNs: stepS * 1e9 };
  measureRound(what, blocks, () => {
    const execution = sampleExecution(query, times);
    const stream = execution.stream([['a', 'b']]);
    for (const { block } of blocks) if (!stream.header(block)) stream.block(block);
    finish(execution.frame());
  });
}

function measure(what: string, blocks: readonly Made[], work: (made: Made) => unknown): number {
  return measureRound(what, blocks, () => {
    for (const made of blocks) work(made);
  });
}

function measureRound(what: string, blocks: readonly Made[], work: () => void): number {
  const bytes = blocks.reduce((sum, { block }) => sum + block.lineBytes, 0);
  let bestMs = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < Number(options.rounds); turn++) {
    const started = performance.now();
    work();
    bestMs = Math.min(bestMs, performance.now() - started);
  }
  const rate = bytes / 1e3 / bestMs;
  const ratios = Object.entries(limits).map(([name, limit]) => (limit === 0 ? '' : `${(rate / limit).toFixed(3)} of ${name}`));
  console.log([what.padEnd(28), `${round(rate)} MB/s`.padStart(16), ...ratios].join('  ').trimEnd());
  return rate;
}
