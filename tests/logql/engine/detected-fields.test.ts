import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DetectedField, FieldDetector, keptEntries, ValueDetector } from '../../../logql/engine/detected-fields.ts';
import { logExecution } from '../../../logql/engine/log-execution.ts';
import { decodeLogFrame } from '../../../logql/engine/log-frame.ts';
import type { Labels } from '../../../logql/model.ts';
import { type BlockRow, blockOf } from '../../support/blocks.ts';

type Stream = [labels: Labels, ...rows: BlockRow[]];

function entriesOf(query: string, streams: readonly Stream[]) {
  const execution = logExecution(query, { fromNs: 0n, toNs: 1_000n, limit: 100, direction: 'backward', categorize: true });
  for (const [labels, ...rows] of streams) execution.stream(labels).block(blockOf(0n, rows));
  return keptEntries(decodeLogFrame(execution.frame()));
}

function fieldsOf(query: string, streams: readonly Stream[], limit = 1_000): DetectedField[] {
  const detector = new FieldDetector(limit);
  for (const entry of entriesOf(query, streams)) detector.add(entry);
  return detector.fields();
}

function valuesOf(name: string, query: string, streams: readonly Stream[], limit = 1_000): string[] {
  const detector = new ValueDetector(name, limit);
  for (const entry of entriesOf(query, streams)) detector.add(entry);
  return detector.values();
}

const APP: Labels = [['app', 'web']];
const found: [what: string, query: string, streams: Stream[], fields: DetectedField[]][] = [
  [
    'lines and structured metadata',
    '{app="web"}',
    [[APP, [0, '{"ms":1.5,"u":{"ok":true}}', { trace: 't1' }], [1, '{"ms":2}', { trace: 't2' }], [2, 'took=5ms', {}]]],
    [
      { label: 'ms', type: 'float', cardinality: 2, parsers: ['json'], jsonPath: ['ms'] },
      { label: 'took', type: 'duration', cardinality: 1, parsers: ['logfmt'] },
      { label: 'trace', type: 'string', cardinality: 2, parsers: null },
      { label: 'u_ok', type: 'boolean', cardinality: 1, parsers: ['json'], jsonPath: ['u', 'ok'] },
    ],
  ],
  [
    'a field that both parsers find',
    '{app="web"}',
    [[APP, [0, '{"size":"1KB"}'], [1, 'size=2KB']]],
    [{ label: 'size', type: 'bytes', cardinality: 2, parsers: ['logfmt', 'json'], jsonPath: ['size'] }],
  ],
  [
    'a field of lines that is structured metadata too',
    '{app="web"}',
    [[APP, [0, 'id=7', { id: 'x' }]]],
    [{ label: 'id', type: 'int', cardinality: 2, parsers: ['logfmt'] }],
  ],
  [
    'only the lines that the query keeps',
    '{app="web"} | logfmt | code="404"',
    [[APP, [0, 'code=200 a=1'], [1, 'code=404 b=2']]],
    [
      { label: 'b', type: 'int', cardinality: 1, parsers: ['logfmt'] },
      { label: 'code', type: 'int', cardinality: 1, parsers: ['logfmt'] },
    ],
  ],
  [
    'what the query made of them',
    '{app="web"} | label_format app="x", extra="5s" | line_format "app={{.app}}"',
    [[APP, [0, 'whatever']]],
    [
      { label: 'app', type: 'string', cardinality: 1, parsers: ['logfmt'] },
      { label: 'extra', type: 'duration', cardinality: 1, parsers: ['logfmt'] },
    ],
  ],
  ['no errors of the query', '{app="web"} | json', [[APP, [0, 'a=1']]], [{ label: 'a', type: 'int', cardinality: 1, parsers: ['logfmt'] }]],
  [
    'the type of the earliest entry of the last stream',
    '{app=~".+"}',
    [
      [[['app', 'b']], [5, 'f=word'], [6, 'f=5']],
      [[['app', 'a']], [0, 'f=1.5'], [9, 'f=true']],
    ],
    [{ label: 'f', type: 'string', cardinality: 4, parsers: ['logfmt'] }],
  ],
];
for (const [what, query, streams, fields] of found) test(`detected: ${what}`, () => assert.deepEqual(fieldsOf(query, streams), fields));

test('a limit keeps the fields that come first', () => {
  const streams: Stream[] = [[APP, [0, 'a=1 b=2'], [1, 'c=3 d=4']]];
  assert.deepEqual(
    fieldsOf('{app="web"}', streams, 3).map(({ label }) => label),
    ['a', 'c', 'd'],
  );
  assert.deepEqual(fieldsOf('{app="web"}', [[APP, [0, 'a=1'], [1, 'a=2 b=1']]], 1)[0], {
    label: 'a',
    type: 'int',
    cardinality: 2,
    parsers: ['logfmt'],
  });
});

const values: [what: string, name: string, query: string, streams: Stream[], values: string[]][] = [
  ['of lines and metadata', 'id', '{app="web"}', [[APP, [0, 'id=b', { id: 'c' }], [1, '{"id":"a"}']]], ['a', 'b', 'c']],
  ['sizes as queries compare them', 'size', '{app="web"}', [[APP, [0, 'size=1536B'], [1, 'size=1.5kB'], [2, 'size=9']]], ['1.5kB', '9']],
  ['only of metadata as they are', 'size', '{app="web"}', [[APP, [0, '', { size: '1536B' }]]], ['1536B']],
  ['of a nested field', 'u_id', '{app="web"}', [[APP, [0, '{"u":{"id":5}}']]], ['5']],
  ['of no field', 'nothing', '{app="web"}', [[APP, [0, 'a=1']]], []],
];
for (const [what, name, query, streams, expected] of values) {
  test(`detected values ${what}`, () => assert.deepEqual(valuesOf(name, query, streams), expected));
}

test('a limit keeps the values that come first', () => {
  assert.deepEqual(valuesOf('a', '{app="web"}', [[APP, [0, 'a=1'], [1, 'a=2'], [2, 'a=3', { a: '4' }]]], 2), ['3', '4']);
});
