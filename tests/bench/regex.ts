// Evil patterns on every way in which a query runs one: npm run bench -- --regex [--kib 2048] [--path NAME]
// Doubling the text must take at most 2.5 times as long, from the same run, or the pattern is refused.
import { parseArgs } from 'node:util';
import { EVIL_PATTERNS } from '../support/evil-patterns.ts';
import { REGEX_PATHS } from '../support/regex-paths.ts';
import { regexRuns } from '../support/regex-runs.ts';

const MOST_RATIO = 2.5;
/** What takes less on the larger text cannot be told from noise. */
const LEAST_MS = 2;
const KILL_MS = 120_000;
const RUNS = 7;
/** A ratio that is too large is measured again: another process may have had the processor. */
const ATTEMPTS = 8;

const { values: options } = parseArgs({
  options: { kib: { type: 'string', default: '2048' }, path: { type: 'string' }, regex: { type: 'boolean' } },
});
const given = Number(options.kib) * 1024;
/** What these make of a longer text is over a limit of its own. */
const SHORT = new Set(['label_replace', 'regexReplaceAll', 'regexReplaceAllLiteral', 'count']);
const SHORT_SIZE = 256 * 1024;

let failed = 0;
console.log(`${EVIL_PATTERNS.length} patterns, fastest of ${RUNS} runs`);
for (const path of Object.keys(REGEX_PATHS)) if (options.path === undefined || options.path === path) await measure(path);
process.exitCode = failed === 0 ? 0 : 1;

async function measure(path: string): Promise<void> {
  const size = SHORT.has(path) ? Math.min(given, SHORT_SIZE) : given;
  const ratios: number[] = [];
  const refused = new Map<string, number>();
  let [fast, slowest, slowestPattern] = [0, 0, ''];
  const late: string[] = [];
  let open = EVIL_PATTERNS.map((_, evil) => evil);
  for (let attempt = 1; open.length > 0; attempt++) {
    const again: number[] = [];
    const jobs = open.map((evil) => ({ path, evil, sizes: [size, 2 * size], runs: RUNS }));
    for await (const [{ evil }, outcome] of regexRuns(jobs, KILL_MS)) {
      const { pattern } = EVIL_PATTERNS[evil];
      const shown = pattern.length > 60 ? `${pattern.slice(0, 60)}…` : pattern;
      if (outcome === 'killed') late.push(`${shown}: not done after ${KILL_MS} ms`);
      else if ('refused' in outcome) {
        const reason = outcome.refused.replace(/.*(regular expression too \w+: [^:]*).*/s, '$1');
        refused.set(reason, (refused.get(reason) ?? 0) + 1);
      } else {
        const [once, twice] = outcome.ms;
        const ratio = twice / once;
        if (twice < LEAST_MS) fast++;
        else if (ratio > MOST_RATIO && attempt < ATTEMPTS) again.push(evil);
        else if (ratio > MOST_RATIO) late.push(`${shown}: ${once.toFixed(1)} ms, then ${twice.toFixed(1)} ms`);
        else ratios.push(ratio);
        if (twice > slowest) [slowest, slowestPattern] = [twice, shown];
      }
    }
    open = again;
  }
  ratios.sort((a, b) => a - b);
  const at = (share: number): string => (ratios[Math.min(ratios.length - 1, Math.floor(ratios.length * share))] ?? Number.NaN).toFixed(2);
  console.log(
    `${path}, ${size / 1024} and ${(2 * size) / 1024} KiB: ${ratios.length} ratios p50 ${at(0.5)} p90 ${at(0.9)} most ${at(1)}, ${fast} below ${LEAST_MS} ms, slowest ${slowest.toFixed(1)} ms ${slowestPattern}`,
  );
  for (const [reason, count] of refused) console.log(`  ${count} refused: ${reason}`);
  for (const line of late) console.log(`  NOT LINEAR ${line}`);
  failed += late.length;
}
