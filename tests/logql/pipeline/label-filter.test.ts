import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { isMetadata } from '../../../logql/pipeline/label-state.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { run } from './block-of.ts';

const LINE = 'n=5 took=1.5s size=5KB ip=10.0.0.7 word=fast empty= hex=0x10';
const cases: [filter: string, outcome: 'kept' | 'dropped' | string][] = [
  ['n = 5', 'kept'],
  ['n == 5.0', 'kept'],
  ['n != 5', 'dropped'],
  ['n > 4 and n < 6', 'kept'],
  ['n > 5 or n >= 5', 'kept'],
  ['n > 5 , n < 6', 'dropped'],
  ['missing > 1', 'dropped'],
  ['missing = ""', 'kept'],
  ['missing != ""', 'dropped'],
  ['word = "fast"', 'kept'],
  ['word =~ "f.st"', 'kept'],
  ['word !~ "f.s"', 'kept'],
  ['took >= 1.5s', 'kept'],
  ['took < 1m30s', 'kept'],
  ['size = 5000B', 'kept'],
  ['size > 1MiB', 'dropped'],
  ['ip = ip("10.0.0.0/24")', 'kept'],
  ['ip != ip("10.0.0.0/24")', 'dropped'],
  ['word = ip("10.0.0.0/24")', 'dropped'],
  ['word > 5', 'strconv.ParseFloat: parsing "fast": invalid syntax'],
  ['hex > 5', 'strconv.ParseFloat: parsing "0x10": invalid syntax'],
  ['word > 5s', 'time: invalid duration "fast"'],
  ['n > 5s', 'time: missing unit in duration "5"'],
  ['word > 5KB', 'strconv.ParseFloat: parsing "": invalid syntax'],
  ['took > 5KB', 'unhandled size name: s'],
  ['word > 5 | took > 1h', 'dropped'],
  ['word > 5 | word > 5s', 'strconv.ParseFloat: parsing "fast": invalid syntax'],
  ['word > 5 | ip = ip("10.0.0.0/24")', 'strconv.ParseFloat: parsing "fast": invalid syntax'],
  ['word > 5 | ip = ip("1.1.1.1")', 'dropped'], // by the parser already, which asks the filters what they think of its values
  ['word > 5 | __error__ = ""', 'dropped'],
  ['word > 5 and n > 9', 'dropped'],
  ['n > 9 and word > 5 or ip = ip("1.1.1.1")', 'strconv.ParseFloat: parsing "fast": invalid syntax'],
  ['n = 5 or word > 5', 'kept'],
  ['n =~ ""', 'kept'],
  ['n !~ ".*"', 'dropped'],
  ['label_format n="9" | n > 8', 'dropped'], // what the parser found is what counts, though another stage came in between
  ['n > -0', 'time: missing unit in duration "5"'],
  ['size = 5040B', 'kept'], // 5.0kB, as Loki prints it before it reads it again
  ['word > 5 | __error__ =~ "Label.*"', 'strconv.ParseFloat: parsing "fast": invalid syntax'],
  ['word > 5 | __error_details__ != ""', 'dropped'],
];
for (const [filter, outcome] of cases) {
  test(`label filter: ${filter}: ${outcome}`, () => {
    const [survivor] = run(`{app="a"} | logfmt | ${filter}`, [LINE]);
    if (outcome === 'dropped') assert.equal(survivor, undefined);
    else if (outcome === 'kept') assert.deepEqual([survivor.line, survivor.error], [LINE, '']);
    else assert.deepEqual([survivor.error, survivor.labels.__error_details__], ['LabelFilterErr', outcome]);
  });
}

test('label filter: metadata shadows nothing, and can be asked for by its name', () => {
  const options = { metadata: [{ pod: 'p1' }, {}, { pod: 'p2', app: 'other' }] };
  const lines = ['a', 'b', 'c'];
  const keptBy = (filter: string) => run(`{app="a"} | ${filter}`, lines, options).map(({ line }) => line);
  assert.deepEqual(keptBy('pod = "p1"'), ['a']);
  assert.deepEqual(keptBy('pod = ""'), ['b']);
  assert.deepEqual(keptBy('app = "a"'), ['a', 'b', 'c']);
  assert.deepEqual(keptBy('app_extracted = "other"'), ['c']);
});

const required: [stages: string, labels: readonly (readonly [string, string])[]][] = [
  [
    '| a="1" | b="2"',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  [
    '|= "x" | a="1" and (b="2" , c=~"3.*") | d!="4"',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  ['| a="1" or b="2"', []],
  ['| a="" | __error__="" | __error_details__="x" | n=5', []],
  ['| a="1" | json | b="2"', [['a', '1']]],
  ['| label_format b="{{.a}}" | b="2"', []],
  ['| drop a | a="1"', []],
  ['| line_format "x" | a="1"', []],
];
for (const [stages, labels] of required) {
  test(`label filter: every entry that ${stages} keeps had labels before it: ${JSON.stringify(labels)}`, () => {
    const pipeline = compilePipeline(parseLogQuery(`{app="a"} ${stages}`).stages, { observed: 'all' });
    assert.deepEqual(pipeline.requiredLabels, labels);
  });
}

test('label filter: a label is metadata if the stream has neither it nor what it would stand beside', () => {
  const stream = [['app', 'a']] as const;
  assert.deepEqual(
    ['pod', 'pod_extracted', 'app', 'app_extracted', '_extracted'].map((name) => isMetadata(stream, name)),
    [true, true, false, false, true],
  );
});

test('label filter: each value is compared for itself, however often it comes', () => {
  const values = ['15', '25', '5', '', 'x', '-25', '2.5e1', '15', '25'];
  const rows = run(
    '{app="a"} | json | n > 20',
    values.map((n) => JSON.stringify({ n })),
  );
  assert.deepEqual(
    rows.map(({ labels, error }) => [labels.n, error]),
    [
      ['25', ''],
      ['', 'LabelFilterErr'],
      ['x', 'LabelFilterErr'],
      ['2.5e1', ''],
      ['25', ''],
    ],
  );
});
