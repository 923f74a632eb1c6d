import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTail, type TailEntry } from '../../../logql/engine/render-tail.ts';

const entry = (app: string, value: string): TailEntry => ({
  timeNs: 1_500_000_000_123_000_000n,
  labels: [['app', app]],
  text: `{app="${app}"}`,
  value: Buffer.from(value),
});
const [one, two, three] = [entry('a', '["1","x"]'), entry('b', '["2","ü"]'), entry('a', '["3","z"]')];

const cases: [what: string, json: unknown, expected: unknown][] = [
  [
    'entries in their order, those of one stream that follow each other together',
    render([one, three, two, one]),
    {
      streams: [
        {
          stream: { app: 'a' },
          values: [
            ['1', 'x'],
            ['3', 'z'],
          ],
        },
        { stream: { app: 'b' }, values: [['2', 'ü']] },
        { stream: { app: 'a' }, values: [['1', 'x']] },
      ],
    },
  ],
  [
    'what was dropped',
    render([one], [two]),
    {
      streams: [{ stream: { app: 'a' }, values: [['1', 'x']] }],
      dropped_entries: [{ timestamp: '1500000000123000000', labels: { app: 'b' } }],
    },
  ],
  [
    'nothing but what was dropped',
    render([], [two]),
    {
      streams: [],
      dropped_entries: [{ timestamp: '1500000000123000000', labels: { app: 'b' } }],
    },
  ],
  ['its encoding', render([], [], true), { streams: [], encodingFlags: ['categorize-labels'] }],
  [
    'the legacy shape',
    render([entry('a', '{"ts":"t"}')], [two], true, true),
    {
      streams: [{ labels: '{app="a"}', entries: [{ ts: 't' }] }],
      dropped_entries: [{ Timestamp: '2017-07-14T02:40:00.123Z', Labels: '{app="b"}' }],
    },
  ],
  ['the legacy shape without dropped entries', render([], [], false, true), { streams: [], dropped_entries: null }],
];
for (const [what, json, expected] of cases) test(`a tail message shows ${what}`, () => assert.deepEqual(json, expected));

function render(entries: TailEntry[], dropped: TailEntry[] = [], categorize = false, legacy = false): unknown {
  return JSON.parse(Buffer.from(renderTail({ entries, dropped }, { categorize, legacy })).toString());
}
