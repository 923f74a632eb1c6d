import assert from 'node:assert/strict';
import { test } from 'node:test';
import { givingWay } from '../../../actors/ingester/turns.ts';

const cases: [what: string, before: Record<number, number>, now: [partition: number, position: number, lag: number][], wanted: number[]][] =
  [
    [
      'one in front takes all',
      { 0: 5, 1: 7 },
      [
        [0, 90, 900],
        [1, 7, 3],
      ],
      [0],
    ],
    [
      'all but one go on',
      { 0: 5, 1: 7, 2: 1 },
      [
        [0, 90, 0],
        [1, 8, 3],
        [2, 1, 1],
      ],
      [0, 1],
    ],
    [
      'all go on',
      { 0: 5, 1: 7 },
      [
        [0, 90, 900],
        [1, 8, 3],
      ],
      [],
    ],
    [
      'who does not go on has nothing',
      { 0: 5, 1: 7 },
      [
        [0, 90, 900],
        [1, 7, 0],
      ],
      [],
    ],
    [
      'nothing goes on',
      { 0: 5, 1: 7 },
      [
        [0, 5, 900],
        [1, 7, 3],
      ],
      [],
    ],
    [
      'one that is new is left alone',
      { 0: 5 },
      [
        [0, 5, 9],
        [1, 7, 3],
      ],
      [],
    ],
    [
      'nor does one that is new give way',
      { 0: 5, 2: 1 },
      [
        [0, 5, 9],
        [1, 7, 3],
        [2, 4, 0],
      ],
      [2],
    ],
  ];
for (const [what, before, now, wanted] of cases) {
  test(`turns of partitions: ${what}`, () => {
    const positions = new Map(Object.entries(before).map(([partition, position]) => [Number(partition), position]));
    const progress = now.map(([partition, position, lag]) => ({ partition, position, lag }));
    assert.deepEqual(givingWay(positions, progress), wanted);
  });
}
