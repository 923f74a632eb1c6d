// Fuzzes every decoder for a while: node tests/fuzz/run.ts [--minutes 1] [--target NAME] [--seed N]
// An input that breaks a decoder is saved to its corpus, where `npm test` runs it from then on, and printed.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { check, corpusOf, type Finding, Mutator, type Target } from './fuzzer.ts';
import { targets } from './targets.ts';

const SLICE_MS = 1_000;
/** An input of 64 KiB that takes longer is a finding too. */
const SLOW_MS = 2_000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    target: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
  },
});
const seed = Number(options.seed);
const chosen = targets.filter(({ name }) => options.target === undefined || name === options.target);
if (chosen.length === 0) {
  console.error(`no such target; there are: ${targets.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const runs = chosen.map((target, index) => ({ target, mutator: new Mutator(corpusOf(target), seed + index), inputs: 0, findings: 0 }));
console.log(`seed ${seed}`);

const end = performance.now() + Number(options.minutes) * 60_000;
while (performance.now() < end) {
  for (const run of runs) {
    const sliceEnd = Math.min(end, performance.now() + SLICE_MS);
    while (performance.now() < sliceEnd && run.findings < 5) {
      run.inputs++;
      const finding = await timed(run.target, run.mutator.input());
      if (finding === undefined) continue;
      run.findings++;
      report(run.target, finding);
    }
  }
}
for (const { target, inputs, findings } of runs) console.log(`${target.name}: ${inputs} inputs, ${findings} findings`);
process.exitCode = runs.some(({ findings }) => findings > 0) ? 1 : 0;

async function timed(target: Target, input: Buffer): Promise<Finding | undefined> {
  const start = performance.now();
  const finding = await check(target, input);
  const tookMs = performance.now() - start;
  return finding ?? (tookMs > SLOW_MS ? { input, error: new Error(`took ${tookMs.toFixed(0)} ms`) } : undefined);
}

function report(target: Target, { input, error }: Finding): void {
  const name = `found-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`;
  writeFileSync(new URL(`./corpus/${target.corpus}/${name}`, import.meta.url), input);
  console.error(`${target.name}: corpus/${target.corpus}/${name}\n${error instanceof Error ? error.stack : error}`);
}
