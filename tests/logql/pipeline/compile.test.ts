import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import type { Unwrap } from '../../../logql/syntax/ast.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { blockOf, type Metadata, run } from './block-of.ts';

const categories: [stages: string, line: string, metadata: Metadata, stream: string, structured: string, parsed: string][] = [
  ['', 'x', { pod: 'p' }, 'app=a env=e', 'pod=p', ''],
  ['| logfmt', 'v=1 env=f', { pod: 'p', app: 'm' }, 'app=a env=e', 'app_extracted=m pod=p', 'env_extracted=f v=1'],
  ['| label_format app="x", z="y"', 'x', {}, 'env=e', '', 'app=x z=y'],
  ['| label_format tid=pod', 'x', { pod: 'p' }, 'app=a env=e', '', 'tid=p'],
  ['| label_format env=env', 'x', {}, 'app=a', '', ''],
  ['| drop env, pod', 'x', { pod: 'p', q: 'r' }, 'app=a', 'q=r', ''],
  ['| drop env="other", app=~"a|b"', 'x', {}, 'env=e', '', ''],
  ['| logfmt | keep app, v', 'v=1 w=2', { pod: 'p' }, 'app=a', '', 'v=1'],
  ['| logfmt | keep v="2"', 'v=1', {}, '', '', ''],
  [
    '| json | keep v',
    'x',
    {},
    '',
    '',
    "__error__=JSONParserErr __error_details__=Value looks like object, but can't find closing '}' symbol",
  ],
  ['| json | drop __error__', 'x', {}, 'app=a env=e', '', "__error_details__=Value looks like object, but can't find closing '}' symbol"],
  ['| json | drop __error__, __error_details__', 'x', {}, 'app=a env=e', '', ''],
  ['| label_format v=""', 'x', {}, 'app=a env=e', '', 'v='],
  ['', 'x', { __error__: 'mine' }, 'app=a env=e', '', '__error__=mine'],
  ['| logfmt', 'pod=q', { pod: 'p' }, 'app=a env=e', 'pod=p', 'pod_extracted=q'],
  ['| label_format pod="r"', 'x', { pod: 'p' }, 'app=a env=e', '', 'pod=r'],
  ['| logfmt | label_format app="b" | logfmt', 'app=c', {}, 'env=e', '', 'app=b app_extracted=c'],
  ['| logfmt | v!="2"', 'v=1 w=2', {}, 'app=a env=e', '', 'v=1 w=2'],
];
for (const [stages, line, metadata, stream, structured, parsed] of categories) {
  test(`labels by category: ${stages || 'no stage'} on ${line}`, () => {
    const options = {
      stream: [
        ['app', 'a'],
        ['env', 'e'],
      ] as [string, string][],
      metadata: [metadata],
    };
    const { set } = run(`{app="a"} ${stages}`, [line], options)[0];
    const text = (labels: readonly (readonly [string, string])[]) => labels.map((pair) => pair.join('=')).join(' ');
    assert.deepEqual([text(set.stream), text(set.structuredMetadata), text(set.parsed)], [stream, structured, parsed]);
    assert.deepEqual(
      text(set.all),
      [set.stream, set.structuredMetadata, set.parsed]
        .flat()
        .map((pair) => pair.join('='))
        .sort()
        .join(' '),
    );
  });
}

test('pipeline: label sets that are equal, and from equal origins, are one object, across rows and blocks', () => {
  const pipeline = compilePipeline(parseLogQuery('{app="a"} | logfmt').stages, { observed: 'all' });
  const first = pipeline.forStream([['app', 'a']]);
  const second = pipeline.forStream([['v', '1']]);
  const lines = blockOf(['v=1', 'v=1', 'v=2']);
  const sets = [0, 1, 2].map((row) => first.apply(lines, row)!.labelSet());
  assert.equal(sets[0], sets[1]);
  assert.notEqual(sets[0], sets[2]);
  assert.equal(first.apply(blockOf(['v=1']), 0)!.labelSet(), sets[0]);
  assert.equal(sets[0].text, '{app="a", v="1"}');
  const other = second.apply(blockOf(['app=a']), 0)!.labelSet();
  assert.deepEqual([other.text, other.stream, other.parsed], [sets[0].text, [['v', '1']], [['app', 'a']]]);
});

test('pipeline: not every label set is remembered', () => {
  const stream = compilePipeline(parseLogQuery('{app="a"} | logfmt').stages, { observed: 'all' }).forStream([['app', 'a']]);
  const lines = blockOf(Array.from({ length: 120_000 }, (_, row) => `v=${row}`));
  const first = stream.apply(lines, 0)!.labelSet();
  for (let row = 1; row < lines.rows; row++) stream.apply(lines, row)!.labelSet();
  const again = stream.apply(lines, 0)!.labelSet();
  assert.deepEqual(again, first);
  assert.notEqual(again, first);
});

test('pipeline: a label set holds what is observed, and errors', () => {
  const rows = run('{app="a"} | logfmt | w > 1', ['v=1 w=2 x=3', 'v=1 w=x'], {
    observed: new Set(['v', 'pod']),
    metadata: [{ pod: 'p', q: 'r' }],
  });
  assert.deepEqual(
    rows.map(({ set }) => set.text),
    ['{pod="p", v="1"}', '{__error__="LabelFilterErr", __error_details__="strconv.ParseFloat: parsing \\"x\\": invalid syntax", v="1"}'],
  );
});

test('pipeline: nothing of a row is left to the next', () => {
  const rows = run('{app="a"} | json | line_format "{{.v}}" | drop app', ['{"v":1,"w":2}', 'broken', '{"w":3}']);
  assert.deepEqual(
    rows.map(({ line, labels }) => [line, Object.keys(labels)]),
    [
      ['1', ['v', 'w']],
      ['', ['__error__', '__error_details__']],
      ['', ['w']],
    ],
  );
});

test('pipeline: a label dropped from one row is there in the next', () => {
  const rows = run('{app="a"} | drop pod="p"', ['x', 'y'], { metadata: [{ pod: 'p' }, { pod: 'q' }] });
  assert.deepEqual(
    rows.map(({ set }) => set.text),
    ['{app="a"}', '{app="a", pod="q"}'],
  );
});

test('pipeline: decolorize takes terminal sequences out', () => {
  const lines = ['\u001b[31mred\u001b[0m \u001b[1;4mé\u001b[0m', 'plain', '\u009b32mx'];
  assert.deepEqual(
    run('{app="a"} | decolorize', lines).map(({ line }) => line),
    ['red é', 'plain', 'x'],
  );
});

const at = { from: 0, to: 0 };
const unwraps: [unwrap: Unwrap, value: string, sample: number | undefined, details: string][] = [
  [{ label: 'v', filters: [] }, '2.5', 2.5, ''],
  [{ label: 'v', filters: [] }, '-Inf', Number.NEGATIVE_INFINITY, ''],
  [{ label: 'w', filters: [] }, '2.5', undefined, ''],
  [{ label: 'v', filters: [] }, '2h', Number.NaN, 'strconv.ParseFloat: parsing "2h": invalid syntax'],
  [{ label: 'v', conversion: 'duration', filters: [] }, '1m1.5s', 61.5, ''],
  [{ label: 'v', conversion: 'duration_seconds', filters: [] }, '-250ms', -0.25, ''],
  [{ label: 'v', conversion: 'bytes', filters: [] }, '2KiB', 2048, ''],
  [{ label: 'v', conversion: 'bytes', filters: [] }, '1.5 MB', 1_500_000, ''],
  [{ label: 'v', filters: [{ kind: 'string', matcher: { name: '__error__', op: '=', value: '' } }] }, 'x', undefined, ''],
  [{ label: 'v', filters: [{ kind: 'number', name: 'v', op: '>', value: 3, text: '3' }] }, '2', undefined, ''],
];
for (const [unwrap, value, sample, details] of unwraps) {
  test(`unwrap ${unwrap.conversion ?? ''}(${unwrap.label}) of v=${value}, filters ${unwrap.filters.length}`, () => {
    const stages = [{ kind: 'logfmt', strict: false, keepEmpty: false, expressions: [], at }] as const;
    const row = compilePipeline(stages, { observed: new Set(), unwrap })
      .forStream([])
      .apply(blockOf([`v="${value}"`]), 0);
    assert.deepEqual([row?.sample, row?.errorDetails ?? ''], [sample, details]);
  });
}
