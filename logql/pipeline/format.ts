import type { DropKeepItem, LabelAssignment } from '../syntax/ast.ts';
import { ERROR, ERROR_DETAILS, type LabelState, PRESERVE_ERROR } from './label-state.ts';
import { type CompiledRegex, compileMatcher, compileRegex } from './regex.ts';
import type { EntryContext } from './template-define.ts';
import { type CompiledTemplate, compileTemplate, TemplateExecutionError } from './template-run.ts';
import { fromBytes, LabelMap, toBytes } from './template-value.ts';

type Change = (state: LabelState) => void;

function entryOf(state: LabelState): EntryContext {
  return { line: () => state.bytes.toString('latin1', state.from, state.to), timeNs: () => state.timeNs(), nowNs: state.nowNs };
}

function labelMap(state: LabelState): LabelMap {
  const map = new LabelMap();
  for (const [name, value] of state.entries()) map.set(name, toBytes(value));
  if (state.error !== '') map.set(ERROR, state.error);
  if (state.errorDetails !== '') map.set(ERROR_DETAILS, toBytes(state.errorDetails));
  return map;
}

/** undefined if the template failed; the entry then has an error. */
function render(template: CompiledTemplate, labels: LabelMap, state: LabelState): string | undefined {
  try {
    return template.run(labels, entryOf(state));
  } catch (error) {
    if (!(error instanceof TemplateExecutionError)) throw error;
    state.fail('TemplateFormatErr', fromBytes(error.message));
    return undefined;
  }
}

/** Throws Error with the reason. */
export function lineFormatter(text: string): Change {
  const template = compileStageTemplate(text, 'line', 'invalid line template');
  const { soleField } = template;
  // As in Loki, a template that is nothing but one label does not see the error labels.
  if (soleField !== undefined) return (state) => state.setLine(Buffer.from(state.get(soleField) ?? ''));
  return (state) => {
    const line = render(template, labelMap(state), state);
    if (line !== undefined) state.setLine(Buffer.from(line, 'latin1'));
  };
}

/** Throws Error with the reason. */
export function labelFormatter(assignments: readonly LabelAssignment[]): Change {
  const seen = new Set<string>();
  const changes = assignments.map((assignment): ((state: LabelState, labels: () => LabelMap) => void) => {
    const { label } = assignment;
    if (label === ERROR) throw new Error(`${label} cannot be formatted`);
    if (seen.has(label)) throw new Error(`multiple label name '${label}' not allowed in a single format operation`);
    seen.add(label);
    if (assignment.kind === 'rename') {
      const { from } = assignment;
      return (state) => {
        const value = state.get(from);
        if (value === undefined) return;
        state.set(label, value);
        state.delete(from);
      };
    }
    const template = compileStageTemplate(assignment.template, 'label', `invalid template for label '${label}'`);
    return (state, labels) => {
      const value = render(template, labels(), state);
      if (value !== undefined) state.set(label, fromBytes(value));
    };
  });
  return (state) => {
    // Templates of one stage see the labels as they are when the first of them runs.
    let labels: LabelMap | undefined;
    const sharedLabels = () => {
      labels ??= labelMap(state);
      return labels;
    };
    for (const change of changes) change(state, sharedLabels);
  };
}

function compileStageTemplate(text: string, name: string, complaint: string): CompiledTemplate {
  try {
    return compileTemplate(text, name);
  } catch (error) {
    throw new Error(`${complaint}: ${(error as Error).message}`, { cause: error });
  }
}

interface Condition {
  readonly name: string;
  /** Whatever the value. */
  readonly always: boolean;
  readonly test: (value: string) => boolean;
}

function conditionsOf(items: readonly DropKeepItem[]): Condition[] {
  return items.map(({ name, matcher }) => ({
    name,
    always: matcher === undefined,
    test: matcher === undefined ? () => true : compileMatcher(matcher),
  }));
}

export function dropper(items: readonly DropKeepItem[]): Change {
  const conditions = conditionsOf(items);
  return (state) => {
    for (const { name, always, test } of conditions) {
      if (!test(state.label(name))) continue;
      if (name === ERROR) state.error = '';
      else if (name === ERROR_DETAILS) state.errorDetails = '';
      else if (!always || state.get(name) !== undefined) state.delete(name);
    }
  };
}

/** Keeps only the labels named; the error labels stay in any case. */
export function keeper(items: readonly DropKeepItem[]): Change {
  const conditions = conditionsOf(items);
  return (state) => {
    for (const [name, value] of [...state.entries()]) {
      if (name === ERROR || name === ERROR_DETAILS || name === PRESERVE_ERROR) continue;
      if (!conditions.some((condition) => condition.name === name && condition.test(value))) state.delete(name);
    }
  };
}

// What starts with ESC or CSI and ends as a terminal's control sequence does.
const ANSI_SEQUENCE =
  '(?:\\x1b|\\x{9b})[[\\]()#;?]*(?:(?:[a-zA-Z0-9]*(?:;[a-zA-Z0-9]*)*)?\\x07|(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-PRZcf-ntqry=><~])';

export function decolorizer(): Change {
  let regex: CompiledRegex | undefined;
  return (state) => {
    const line = state.line();
    if (line.indexOf(0x1b) < 0 && line.indexOf('\u009b') < 0) return;
    regex ??= compileRegex(ANSI_SEQUENCE, { anchored: false, dotNewline: false });
    const parts: Buffer[] = [];
    let done = 0;
    for (const [start, end] of regex.allCaptures(line)) {
      parts.push(line.subarray(done, start));
      done = end;
    }
    state.setLine(Buffer.concat([...parts, line.subarray(done)]));
  };
}
