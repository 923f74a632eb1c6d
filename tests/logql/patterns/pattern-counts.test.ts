import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PatternCounts } from '../../../logql/patterns/pattern-counts.ts';
import { ranked, sumSeries } from '../../../logql/patterns/pattern-series.ts';

const MINUTE = 60_000;
const counts = (added: [timeMs: number, count: number][], stepMs: number): [number, number][] => {
  const all = new PatternCounts({ tokens: [], write: () => '' });
  for (const [timeMs, count] of added) all.add(timeMs, count);
  return [...all.byStep(stepMs)].sort(([a], [b]) => a - b);
};

for (const [what, added, stepMs, expected] of [
  [
    'by multiples of the step',
    [
      [10_000, 1],
      [20_000, 2],
      [70_000, 3],
    ],
    MINUTE,
    [
      [0, 3],
      [MINUTE, 3],
    ],
  ],
  [
    'zeros between',
    [
      [0, 1],
      [3 * MINUTE, 1],
    ],
    MINUTE,
    [
      [0, 1],
      [MINUTE, 0],
      [2 * MINUTE, 0],
      [3 * MINUTE, 1],
    ],
  ],
  [
    'nothing between what is an hour apart',
    [
      [0, 1],
      [61 * MINUTE, 1],
    ],
    30 * MINUTE,
    [
      [0, 1],
      [60 * MINUTE, 1],
    ],
  ],
  [
    'as fine as they are kept',
    [
      [0, 1],
      [30_000, 2],
    ],
    10_000,
    [
      [0, 1],
      [30_000, 2],
    ],
  ],
  [
    'two runs in one step',
    [
      [0, 1],
      [61 * MINUTE, 2],
    ],
    120 * MINUTE,
    [[0, 3]],
  ],
] as [string, [number, number][], number, [number, number][]][]) {
  test(`counts: ${what}`, () => assert.deepEqual(counts(added, stepMs), expected));
}

test('equal patterns of equal level are one; those of few lines are none; the most frequent come first', () => {
  const series = (pattern: string, level: string, samples: [number, number][]) => ({ pattern, level, samples: new Map(samples) });
  const all = [
    series('a <_>', 'info', [[0, 20]]),
    series('a <_>', 'info', [
      [0, 9],
      [10, 5],
    ]),
    series('a <_>', 'warn', [[0, 29]]),
    series('b', 'info', [[0, 100]]),
  ];
  assert.deepEqual(ranked(sumSeries(all)), [
    series('b', 'info', [[0, 100]]),
    series('a <_>', 'info', [
      [0, 29],
      [10, 5],
    ]),
  ]);
});
