import assert from 'node:assert/strict';
import { compilePipeline } from '../../logql/pipeline/compile.ts';
import { parseLogQuery } from '../../logql/syntax/parse.ts';
import { blockOf } from '../logql/pipeline/block-of.ts';
import type { Target } from './fuzzer.ts';

const QUERIES: readonly [stages: string, observed: readonly string[] | undefined][] = [
  ['| json', undefined],
  ['| json', ['status']],
  ['| json | status >= 500', []],
  ['| json path="path"', ['path']],
  ['| json x="path.status", y="a[0].path", z="level"', undefined],
];

/** What became of each line. */
function results(stages: string, observed: readonly string[] | undefined, lines: readonly Buffer[]): unknown[] {
  const block = blockOf(lines);
  const pipeline = compilePipeline(parseLogQuery(`{app="a"} ${stages}`).stages, {
    observed: observed === undefined ? 'all' : new Set(observed),
  });
  const bound = pipeline.forStream([['app', 'a']]);
  return lines.map((_, row) => {
    const entry = bound.apply(block, row);
    return entry === undefined ? 'dropped' : [entry.error, entry.errorDetails, entry.labelSet().all, entry.everyLabel()];
  });
}

export const jsonLineTargets: readonly Target[] = [
  {
    name: 'JSON lines',
    corpus: 'json-lines',
    run(bytes) {
      const lines: Buffer[] = [];
      for (let from = 0; from < bytes.length && lines.length < 32; ) {
        const to = bytes.indexOf('\n', from);
        lines.push(bytes.subarray(from, to < 0 ? bytes.length : to));
        from += lines.at(-1)!.length + 1;
      }
      // What was read in one line says nothing of another.
      for (const [stages, observed] of QUERIES) {
        const alone = lines.flatMap((line) => results(stages, observed, [line]));
        assert.deepEqual(results(stages, observed, [...lines, ...lines]), [...alone, ...alone]);
      }
    },
  },
];
