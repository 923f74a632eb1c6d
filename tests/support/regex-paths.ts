import { replaceLabels } from '../../logql/engine/label-replace.ts';
import { emptySeries } from '../../logql/engine/matrix.ts';
import { compilePipeline } from '../../logql/pipeline/compile.ts';
import { compileMatcher } from '../../logql/pipeline/regex.ts';
import type { Stage } from '../../logql/syntax/ast.ts';
import { blockOf } from '../logql/pipeline/block-of.ts';

/** Runs a pattern once on what it was prepared for. */
export type Prepared = () => void;

const AT = { from: 0, to: 0 };
const LINE = 200;

/** The text as lines of about LINE bytes: where a query meets most of what is evil. */
function linesOf(text: Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(text.length / LINE) }, (_, at) => text.subarray(at * LINE, (at + 1) * LINE));
}

/** Runs `stages` over `lines`. */
function pipelineOver(stages: readonly Stage[], lines: readonly Buffer[]): Prepared {
  const bound = compilePipeline(stages, { observed: 'all' }).forStream([['app', 'a']]);
  const block = blockOf(lines);
  const rows = new Uint32Array(block.rows);
  return () => {
    const count = bound.select(block, 0, block.rows, rows);
    for (let index = 0; index < count; index++) bound.apply(block, rows[index])?.line();
  };
}

const lineFilter = (pattern: string): Stage => ({ kind: 'line_filter', op: '|~', terms: [{ kind: 'text', text: pattern }], at: AT });

const template = (pattern: string, call: (quoted: string) => string): Stage => ({
  kind: 'line_format',
  template: `{{ ${call(JSON.stringify(pattern))} }}`,
  at: AT,
});

/** Every way in which a query brings a pattern of its own to a text; each throws Fault for a pattern that is refused. */
export const REGEX_PATHS: Readonly<Record<string, (pattern: string, text: Buffer) => Prepared>> = {
  'line filter, lines': (pattern, text) => pipelineOver([lineFilter(pattern)], linesOf(text)),
  'line filter, one line': (pattern, text) => pipelineOver([lineFilter(pattern)], [text]),
  'label matcher': (pattern, text) => {
    const test = compileMatcher({ op: '=~', value: pattern });
    const value = text.toString();
    return () => test(value);
  },
  'label filter': (pattern, text) => {
    const matcher = { name: 'value', op: '=~' as const, value: pattern };
    const extract: Stage = { kind: 'pattern', pattern: '<value>', at: AT };
    return pipelineOver([extract, { kind: 'label_filter', predicate: { kind: 'string', matcher }, at: AT }], [text]);
  },
  'drop and keep': (pattern, text) => {
    const extract: Stage = { kind: 'pattern', pattern: '<value>', at: AT };
    const matcher = { name: 'value', op: '=~' as const, value: pattern };
    return pipelineOver([extract, { kind: 'drop', items: [{ name: 'value', matcher }], at: AT }], [text]);
  },
  'regexp parser': (pattern, text) => pipelineOver([{ kind: 'regexp', pattern: `(?P<whole>${pattern})`, at: AT }], [text]),
  label_replace: (pattern, text) => {
    const series = emptySeries([['source', text.toString()]], 0, 1);
    const inner = { kind: 'vector' as const, value: 1, at: AT };
    const expr = { kind: 'label_replace' as const, inner, target: 't', replacement: '$1', source: 'source', pattern, at: AT };
    return () => replaceLabels(expr, { steps: 1, series: [series] });
  },
  regexReplaceAll: (pattern, text) => pipelineOver([template(pattern, (quoted) => `regexReplaceAll ${quoted} __line__ "$1"`)], [text]),
  regexReplaceAllLiteral: (pattern, text) =>
    pipelineOver([template(pattern, (quoted) => `regexReplaceAllLiteral ${quoted} __line__ "x"`)], [text]),
  count: (pattern, text) => pipelineOver([template(pattern, (quoted) => `__line__ | count ${quoted}`)], [text]),
};
