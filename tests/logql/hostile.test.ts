import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateInstant } from '../../logql/engine/evaluate.ts';
import { emptySeries, type Series } from '../../logql/engine/matrix.ts';
import { sampleExecution } from '../../logql/engine/sample-execution.ts';
import { finish } from '../../logql/engine/steps.ts';
import { keepsSeries, planQuery } from '../../logql/plan.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { prettyPrint } from '../../logql/syntax/pretty.ts';
import { print } from '../../logql/syntax/print.ts';
import { Fault } from '../../ops/base/fault.ts';
import { blockOf, run } from './pipeline/block-of.ts';

const many = (count: number, text: string, between = ''): string => new Array<string>(count).fill(text).join(between);
const SELECTOR = '{a="b"}';
const COUNT = `count_over_time(${SELECTOR}[1m])`;

const refused: [what: string, query: string, message: RegExp][] = [
  ['a text that is too long', `{a="${many(131_072 - 6, 'x')}"}`, /^parse error : input size too long \(131072 > 131072\)$/],
  ['its length is that of its bytes', `{a="${many(65_600, 'é')}"}`, /input size too long \(131206 > 131072\)/],
  ['deep parentheses', `${many(10_000, '(')}1${many(10_000, ')')}`, /nests deeper than 500 parentheses|at most 6000 words/],
  ['501 parentheses', `${many(501, '(')}1${many(501, ')')}`, /nests deeper than 500 parentheses/],
  ['deep aggregations', `${many(900, 'sum(')}${COUNT}${many(900, ')')}`, /nests deeper than 500 parentheses/],
  ['10,000 stages', `${SELECTOR}${many(10_000, '|json')}`, /query is too long, 20006 of at most 6000 words/],
  ['10,000 line filters', `${SELECTOR}${many(10_000, '|="x"')}`, /at most 6000 words/],
  ['a huge chain of or', `${SELECTOR} |= ${many(10_000, '"x"', ' or ')}`, /at most 6000 words/],
  ['a huge chain of operators', many(10_000, '1', '+'), /at most 6000 words/],
  ['a power tower', many(10_000, '1', '^'), /at most 6000 words/],
  ['a class of many classes', `${SELECTOR} |~ "[${many(30_000, '\\\\pL')}]"`, /classes have more than 1000000 ranges/],
  [
    'patterns of many classes',
    `${SELECTOR}${many(800, `|~"[^${many(5, '\\\\pL')}]"`)}`,
    /together their classes have more than 2000000 ranges/,
  ],
  ['a deep pattern', `${SELECTOR} |~ "${many(2_000, '(')}x${many(2_000, ')')}"`, /expression nests too deeply/],
  ['repetitions that multiply', `${SELECTOR} |~ "((a{10}){10}){100}"`, /invalid repeat count/],
  ['repetitions that add up', `${SELECTOR} |~ "(a|b){1000}c{1000}"`, /expand to more than 2000 nodes/],
  ['a deep template', `${SELECTOR} | line_format \`${many(2_000, '{{if .a}}')}${many(2_000, '{{end}}')}\``, /nested too deeply/],
  ['deep template parentheses', `${SELECTOR} | line_format \`{{${many(2_000, '(')}1${many(2_000, ')')}}}\``, /nested too deeply/],
  [
    'variables',
    `${SELECTOR} | line_format \`${Array.from({ length: 600 }, (_, at) => `{{$v${at} := 1}}`).join('')}\``,
    /more than 500 variables/,
  ],
];
for (const [what, query, message] of refused) {
  test(`a hostile query is refused with the number: ${what}`, () => {
    assert.throws(
      () => planQuery(parseExpr(query)),
      (error) => error instanceof Fault && error.status === 400 && message.test(error.message),
    );
  });
}

// As long or deep as they may be, through everything that recurses.
const borne: [what: string, query: string][] = [
  ['500 parentheses', `${many(499, '(')}${COUNT}${many(499, ')')}`],
  ['aggregations', `${many(498, 'sum(')}${COUNT}${many(498, ')')}`],
  ['label_replace', `${many(400, 'label_replace(')}${COUNT}${many(400, ',"a","$1$1","a","(.*)")')}`],
  ['operators from the left', many(2_900, '1', '-')],
  ['operators from the right', many(2_900, '1', '^')],
  ['operators between vectors', many(700, 'vector(1)', ' or ')],
  ['label filters joined by or', `${SELECTOR} | ${many(1_450, 'x>1', ' or ')}`],
  ['label filters joined by commas', `${SELECTOR} | ${many(1_450, 'x>1', ',')}`],
  ['line filters', `${SELECTOR}${many(2_900, '|="x"')}`],
  ['texts joined by or', `${SELECTOR} |~ ${many(2_900, '"x"', ' or ')}`],
  ['stages', `${SELECTOR}${many(2_900, '|json')}`],
  ['a pattern of 990 groups', `${SELECTOR} |~ "${many(990, '(')}x${many(990, ')*')}"`],
  ['a pattern of optional repetitions', `${SELECTOR} |~ "(?:a{0,990}){1}"`],
  ['an alternation', `${SELECTOR} |~ "${many(20_000, 'ab', '|')}"`],
  ['Unicode classes', `${SELECTOR} |~ "${many(20_000, '\\\\PL')}"`],
];
for (const [what, query] of borne) {
  test(`a long query is borne: ${what}`, () => {
    const expr = parseExpr(query);
    print(expr);
    prettyPrint(expr);
    const plan = planQuery(expr);
    if (plan.kind === 'logs') return;
    const leaves = plan.leaves.map(() => ({ steps: 1, series: [oneSeries([])] }));
    finish(evaluateInstant(plan, leaves, { maxSeries: 10, approxTopk: false }));
  });
}

function oneSeries(labels: [string, string][]): Series {
  const series = emptySeries(labels, 0, 1);
  series.values[0] = 1;
  series.present[0] = 1;
  return series;
}

const templates: [what: string, template: string, details: RegExp][] = [
  ['repeat', '{{ repeat 100000000 "x" }}', /result of 100000000 bytes is over the limit of 1048576/],
  ['repeat of a long text', '{{ $x := repeat 100000 "x" }}{{ repeat 100000 $x }}', /over the limit of 1048576/],
  ['widths', `{{ printf "${many(100, '%999999d')}" ${many(100, '1', ' ')} }}`, /over the limit of 1048576/],
  ['indent', '{{ indent 100000000 "x" }}', /over the limit of 1048576/],
  ['nindent of many lines', '{{ nindent 1000 (repeat 10000 "\\n") }}', /over the limit of 1048576/],
  ['alignLeft', '{{ alignLeft 100000000 "x" }}', /over the limit of 1048576/],
  ['replace', '{{ $x := repeat 100000 "x" }}{{ replace "x" $x $x }}', /over the limit of 1048576/],
  [
    'println',
    `{{ $x := repeat 1000000 "x" }}{{ println ${many(50, '$x', ' ')} }}`,
    /over the limit of 1048576|bytes of text in its functions/,
  ],
  ['html', `{{ $x := repeat 500000 "<" }}{{ html $x $x $x }}`, /over the limit of 1048576/],
  ['references', `{{ $x := repeat 100000 "x" }}{{ regexReplaceAll "(x+)" $x "${many(100, '$1')}" }}`, /over the limit of 1048576/],
  ['output', '{{ $x := repeat 600000 "x" }}{{ $x }}{{ $x }}', /output exceeds 1048576 bytes/],
  ['a long loop', '{{ range $i := 1000000000 }}{{ end }}', /exceeded 100000 steps/],
  [
    'a loop that makes long texts',
    '{{ range $i := 90000 }}{{ $x := upper (repeat 1000000 "x") }}{{ end }}',
    /exceeded 16777216 bytes of text/,
  ],
  [
    'loops over a long list',
    '{{ $l := fromJson __line__ }}{{ range $l }}{{ range $l }}{{ break }}{{ end }}{{ end }}',
    /exceeded 100000 steps/,
  ],
  [
    'templates that call themselves',
    '{{ define "a" }}{{ template "a" . }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
    /maximum template depth|100000 steps/,
  ],
  ['products', `{{ mulf ${many(3_000, '1e300', ' ')} }}`, /more than 100 numbers/],
];
for (const [what, template, details] of templates) {
  test(`a template that would take too much fails for its entry: ${what}`, () => {
    const line = `[${many(60_000, '1', ',')}]`;
    const [{ error, set }] = run(`{app="a"} | line_format ${JSON.stringify(template)}`, [line]);
    assert.equal(error, 'TemplateFormatErr');
    assert.match(set.all.find(([name]) => name === '__error_details__')?.[1] ?? '', details);
  });
}

test('deeply nested JSON in a template is nothing', () => {
  const line = many(100_000, '[') + many(100_000, ']');
  assert.deepEqual(
    run('{app="a"} | line_format "{{ fromJson __line__ }}"', [line]).map((one) => [one.line, one.error]),
    [['<no value>', '']],
  );
});

test('labels that stages multiply are refused with the number', () => {
  const assignments = Array.from({ length: 30 }, (_, at) => `l${at}="{{ repeat 1000000 \\"x\\" }}"`).join(',');
  assert.throws(() => run(`{app="a"} | label_format ${assignments}`, ['x']), {
    code: 'limit_exceeded',
    message: 'stages make labels of more than 16777216 characters of one entry',
  });
});

test('label_replace that multiplies a value is refused with the number', () => {
  const plan = planQuery(parseExpr(`${many(30, 'label_replace(')}${COUNT}${many(30, ',"a","$1$1","a","(.*)")')}`));
  assert.ok(plan.kind === 'metric');
  const leaves = [{ steps: 1, series: [oneSeries([['a', 'xyz']])] }];
  assert.throws(() => finish(evaluateInstant(plan, leaves, { maxSeries: 10, approxTopk: false })), {
    code: 'limit_exceeded',
    message: 'label_replace makes a value of more than 1048576 bytes',
  });
});

const kept: [query: string, whether: boolean][] = [
  [COUNT, true],
  [`sum by (x) (${COUNT})`, true],
  [`sort_desc(2 * ${COUNT} / 3)`, true],
  [`label_replace(${COUNT}, "a", "", "", "")`, true],
  [`topk(1, ${COUNT})`, false],
  [`max(${COUNT})`, false],
  [`${COUNT} > 1`, false],
  [`${COUNT} - ${COUNT}`, false],
  [`absent_over_time(${SELECTOR}[1m])`, false],
  [`rate_counter(${SELECTOR} | unwrap x [1m])`, false],
];
for (const [query, whether] of kept) {
  test(`the answer to ${query} has ${whether ? 'every' : 'not every'} series of its leaf`, () => {
    const plan = planQuery(parseExpr(query));
    assert.equal(plan.kind === 'metric' && keepsSeries(plan), whether);
  });
}

test('more series than an answer may have are refused while they are gathered', () => {
  const times = { startNs: 3_600_000_000_000n, endNs: 3_600_000_000_000n, stepNs: 0 };
  const execution = sampleExecution(`count_over_time(${SELECTOR} | json [1h])`, times, { maxSeries: 500 });
  const stream = execution.stream([['a', 'b']]);
  const block = (from: number, count: number) => {
    const { baseNs: _, ...rest } = blockOf(Array.from({ length: count }, (_, at) => `{"id":"${from + at}"}`));
    return { ...rest, baseNs: 1_000_000_000n };
  };
  stream.block(block(0, 500));
  stream.block(block(400, 100));
  assert.throws(() => stream.block(block(500, 1)), {
    code: 'limit_exceeded',
    message: /^maximum number of series \(500\) reached for a single query/,
  });
});
