import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VolumeBuckets } from '../../../logql/engine/volume-buckets.ts';
import { type VolumeQuery, volumeExecution } from '../../../logql/engine/volume-execution.ts';
import { VolumeTable } from '../../../logql/engine/volume-table.ts';
import type { Labels } from '../../../logql/model.ts';
import { type BlockRow, blockOf, type TestBlock } from '../../support/blocks.ts';

const ALL: VolumeQuery = {
  query: '{app=~".+"}',
  startNs: 0n,
  endNs: 1_000n,
  stepNs: 0,
  targetLabels: [],
  aggregateBy: 'series',
  maxSeries: 100,
};
type Stream = [labels: Record<string, string>, ...blocks: BlockRow[][]];
type Volume = [labels: Record<string, string>, ...points: [bucket: number, bytes: number][]];

function run(query: VolumeQuery, streams: readonly Stream[]): { frame: Uint8Array[]; blocks: TestBlock[] } {
  const execution = volumeExecution(query);
  const all: TestBlock[] = [];
  for (const [labels, ...blocks] of streams) {
    const volume = execution.stream(Object.entries(labels) as Labels);
    for (const rows of blocks) {
      const block = blockOf(0n, rows);
      all.push(block);
      if (!volume.header(block)) volume.block(block);
    }
    volume.finish();
  }
  return { frame: execution.frame(), blocks: all };
}

function volumesOf(query: Partial<VolumeQuery>, streams: readonly Stream[], limit = 100): Volume[] {
  const asked = { ...ALL, ...query };
  const table = new VolumeTable(new VolumeBuckets(asked).count, asked.maxSeries);
  // As if each stream had been with a querier of its own.
  for (const stream of streams) table.addFrame(run(asked, [stream]).frame);
  return table.ranked(limit).map(({ labels, points }) => [Object.fromEntries(labels), ...points.map(pairOf)]);
}
const pairOf = ({ bucket, bytes }: { bucket: number; bytes: number }): [number, number] => [bucket, bytes];

const A = { app: 'a', env: 'dev' };
const B = { app: 'b', env: 'dev' };
const cases: [what: string, query: Partial<VolumeQuery>, streams: Stream[], volumes: Volume[]][] = [
  [
    'lines',
    {},
    [
      [
        A,
        [
          [0, 'abc'],
          [5, 'de'],
        ],
      ],
    ],
    [[{ app: 'a' }, [0, 5]]],
  ],
  ['bytes, not characters', {}, [[A, [[0, 'é🦊']]]], [[{ app: 'a' }, [0, 6]]]],
  [
    'a pair of metadata is 8, each text counts once',
    {},
    [
      [
        A,
        [
          [0, 'x', { k: 'vv' }],
          [1, 'y', { k: 'vv', l: 'w' }],
        ],
        [[2, 'z', { k: 'w' }]],
      ],
    ],
    [[{ app: 'a' }, [0, 3 + 4 * 8 + 'kvvlw'.length]]],
  ],
  [
    'a text counts for each stream',
    {},
    [
      [A, [[0, '', { k: 'v' }]]],
      [{ ...A, n: '1' }, [[0, '', { k: 'v' }]]],
    ],
    [[{ app: 'a' }, [0, 20]]],
  ],
  ['an empty line', {}, [[A, [[0, '']]]], [[{ app: 'a' }, [0, 0]]]],
  [
    'both ends are within, nothing beyond',
    { startNs: 10n, endNs: 20n },
    [
      [
        A,
        [
          [9, '-'],
          [10, 'a'],
          [20, 'bc'],
          [21, '-'],
        ],
      ],
      [
        B,
        [
          [9, '-'],
          [21, '-'],
        ],
      ],
    ],
    [[{ app: 'a' }, [0, 3]]],
  ],
  [
    'metadata beyond the ends does not count',
    { startNs: 10n, endNs: 20n },
    [
      [
        A,
        [
          [9, '', { k: 'out' }],
          [10, '', { k: 'in' }],
          [21, '', { l: 'out' }],
        ],
      ],
    ],
    [[{ app: 'a' }, [0, 8 + 'kin'.length]]],
  ],
  [
    'steps',
    { startNs: 5n, endNs: 30n, stepNs: 10 },
    [
      [
        A,
        [
          [4, '-'],
          [5, 'a'],
          [9, 'b'],
          [10, 'c'],
          [29, 'd'],
          [30, 'e'],
          [31, '-'],
        ],
      ],
    ],
    [[{ app: 'a' }, [0, 2], [1, 1], [2, 2]]],
  ],
  [
    'a text counts in the first step that has it, whatever comes first',
    { startNs: 0n, endNs: 30n, stepNs: 10 },
    [[A, [[25, '', { k: 'v' }]], [[11, '', { k: 'v' }]]]],
    [[{ app: 'a' }, [1, 10], [2, 8]]],
  ],
  ['labels of the selector', { query: '{env="dev", app!="c"}' }, [[A, [[0, 'a']]]], [[{ app: 'a', env: 'dev' }, [0, 1]]]],
  ['every label for {}', { query: '{}' }, [[{ ...A, n: '1' }, [[0, 'a']]]], [[{ app: 'a', env: 'dev', n: '1' }, [0, 1]]]],
  [
    'target labels',
    { targetLabels: ['env'] },
    [
      [A, [[0, 'a']]],
      [B, [[0, 'bb']]],
    ],
    [[{ env: 'dev' }, [0, 3]]],
  ],
  ['target labels for {}', { query: '{}', targetLabels: ['env'] }, [[A, [[0, 'a']]]], [[{ env: 'dev' }, [0, 1]]]],
  [
    'names of labels',
    { aggregateBy: 'labels' },
    [
      [A, [[0, 'a']]],
      [{ app: 'b' }, [[0, 'bb']]],
    ],
    [
      [{ app: '' }, [0, 3]],
      [{ env: '' }, [0, 1]],
    ],
  ],
  ['names of target labels', { aggregateBy: 'labels', targetLabels: ['env'] }, [[A, [[0, 'a']]]], [[{ env: '' }, [0, 1]]]],
  [
    'the largest first, then by name',
    {},
    [
      [{ app: 'c' }, [[0, 'x']]],
      [{ app: 'b' }, [[0, 'yy']]],
      [{ app: 'a' }, [[0, 'z']]],
    ],
    [
      [{ app: 'b' }, [0, 2]],
      [{ app: 'a' }, [0, 1]],
      [{ app: 'c' }, [0, 1]],
    ],
  ],
];
for (const [what, query, streams, volumes] of cases) test(`volumes: ${what}`, () => assert.deepEqual(volumesOf(query, streams), volumes));

test('volumes: a limit is one of each step', () => {
  const streams: Stream[] = [
    [
      A,
      [
        [0, 'aaa'],
        [10, 'a'],
      ],
    ],
    [
      B,
      [
        [1, 'b'],
        [11, 'bbb'],
      ],
    ],
    [
      { app: 'c' },
      [
        [2, 'cc'],
        [12, 'cc'],
      ],
    ],
  ];
  assert.deepEqual(volumesOf({ endNs: 20n, stepNs: 10 }, streams, 1), [
    [{ app: 'a' }, [0, 3]],
    [{ app: 'b' }, [1, 3]],
  ]);
});

test('volumes: target labels are matched', () => {
  assert.deepEqual(volumeExecution({ ...ALL, targetLabels: ['app', 'env'] }).matchers, [
    { name: 'app', op: '=~', value: '.+' },
    { name: 'env', op: '=~', value: '.+' },
  ]);
});

test('volumes: more series at one time than the limit are refused, by one querier and by all together', () => {
  const two: Stream[] = [
    [A, [[0, 'a']]],
    [
      B,
      [
        [1, 'b'],
        [11, 'b'],
      ],
    ],
  ];
  const tooMany = { code: 'limit_exceeded', message: 'the query hit the max number of series limit (limit: 1 series)' };
  assert.throws(() => run({ ...ALL, maxSeries: 1 }, two), tooMany);
  assert.throws(() => volumesOf({ maxSeries: 1 }, two), tooMany);
  assert.doesNotThrow(() => volumesOf({ maxSeries: 2 }, two));
  const apart: Stream[] = [
    [A, [[0, 'a']]],
    [B, [[11, 'b']]],
  ];
  assert.doesNotThrow(() => volumesOf({ maxSeries: 1, endNs: 20n, stepNs: 10 }, apart));
});

test('volumes: lines are not read, and other columns only where the outline does not tell', () => {
  const touched = (query: Partial<VolumeQuery>, rows: BlockRow[]): string[] =>
    [...run({ ...ALL, ...query }, [[A, rows]]).blocks[0].touched].sort();
  assert.deepEqual(
    touched({}, [
      [0, 'a'],
      [500, 'b'],
    ]),
    [],
  );
  assert.deepEqual(
    touched({}, [
      [0, 'a', { k: 'v' }],
      [500, 'b'],
    ]),
    ['metadata'],
  );
  assert.deepEqual(
    touched({ endNs: 100n }, [
      [0, 'a', { k: 'v' }],
      [500, 'b'],
    ]),
    ['ends', 'metadata', 'times'],
  );
});

test('volumes: a query that is more than a selector is refused', () => {
  assert.throws(() => volumeExecution({ ...ALL, query: '{app="a"} |= "x"' }), {
    code: 'bad_request',
    message: 'only label matchers are supported',
  });
});
