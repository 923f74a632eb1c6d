import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EntryOptions } from '../../../logql/engine/entry-writer.ts';
import { logExecution } from '../../../logql/engine/log-execution.ts';
import { decodeLogFrame } from '../../../logql/engine/log-frame.ts';
import { tailExecution } from '../../../logql/engine/tail-execution.ts';
import type { Labels } from '../../../logql/model.ts';
import { streamOrder } from '../../../logql/stream-hash.ts';
import { type BlockRow, blockOf } from '../../support/blocks.ts';
import { isFault } from '../../support/checks.ts';

const BASE = 1_768_471_200_000_000_000n;
const A: Labels = [['app', 'a']];
const ROWS: BlockRow[] = [
  [0, 'n=1 level=info'],
  [5, 'n=2 level=error', { trace: 't2' }],
  [5, 'n=3 level=info'],
  [9, 'no pairs'],
];

function values(query: string, options: EntryOptions = { categorize: false }, labels = A): [text: string, value: unknown][] {
  const entries = [...tailExecution(query, options).entries(labels, blockOf(BASE, ROWS))];
  return entries.map(({ text, value }) => [text, JSON.parse(Buffer.from(value).toString())]);
}

const at = (offset: bigint): string => String(BASE + offset);
const cases: [what: string, query: string, options: EntryOptions, expected: [text: string, value: unknown][]][] = [
  [
    'every row',
    '{app="a"}',
    { categorize: false },
    [
      ['{app="a"}', [at(0n), 'n=1 level=info']],
      ['{app="a", trace="t2"}', [at(5n), 'n=2 level=error']],
      ['{app="a"}', [at(5n), 'n=3 level=info']],
      ['{app="a"}', [at(9n), 'no pairs']],
    ],
  ],
  ['line filters', '{app="a"} |= "level=" != "info"', { categorize: false }, [['{app="a", trace="t2"}', [at(5n), 'n=2 level=error']]]],
  [
    'parsers, label filters and formats',
    '{app="a"} | logfmt | n > 2 | line_format "<{{.n}}>" | drop n',
    { categorize: false },
    [['{app="a", level="info"}', [at(5n), '<3>']]],
  ],
  [
    'labels by origin',
    '{app="a"} | logfmt level | level="error"',
    { categorize: true },
    [['{app="a"}', [at(5n), 'n=2 level=error', { structuredMetadata: { trace: 't2' }, parsed: { level: 'error' } }]]],
  ],
  [
    'the legacy shape',
    '{app="a"} | logfmt level | n="" | level="error"',
    { categorize: false, legacy: true },
    [
      [
        '{app="a", level="error", trace="t2"}',
        { ts: '2026-01-15T10:00:00.000000005Z', line: 'n=2 level=error', parsed: { level: 'error' } },
      ],
    ],
  ],
  [
    'the legacy shape without parsed labels',
    '{app="a"} |= "no"',
    { categorize: false, legacy: true },
    [['{app="a"}', { ts: '2026-01-15T10:00:00.000000009Z', line: 'no pairs' }]],
  ],
];
for (const [what, query, options, expected] of cases)
  test(`a tail answers ${what}`, () => assert.deepEqual(values(query, options), expected));

test('a metric query is no tail', () => {
  assert.throws(() => tailExecution('rate({app="a"}[1m])', { categorize: false }), isFault('parse_error'));
});

test('what a tail remembers is made anew in the course of it, and nobody notices', () => {
  const execution = tailExecution('{app="a"} | logfmt | n="2"', { categorize: false });
  for (let round = 0; round < 30_000; round++) {
    const labels: Labels = [['app', `a${round}`]];
    const entries = [...execution.entries(labels, blockOf(BASE, ROWS))];
    assert.deepEqual([entries.length, entries[0].origin], [1, streamOrder(labels)]);
  }
});

test('an entry has one mark whether it comes from a tail or a query, whatever the pipeline makes of it', () => {
  const execution = logExecution('{app="a"}', { fromNs: BASE, toNs: BASE + 100n, limit: 100, direction: 'forward', categorize: false });
  execution.stream(A).block(blockOf(BASE, ROWS));
  const tailed = [...tailExecution('{app="a"} | line_format "x" | drop trace', { categorize: true }).entries(A, blockOf(BASE, ROWS))];
  const queried = decodeLogFrame(execution.frame());
  assert.deepEqual(new Set(tailed.map(({ mark }) => mark)), new Set(queried.map(({ mark }) => mark)));
});
