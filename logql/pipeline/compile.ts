import { Fault } from '../../ops/base/fault.ts';
import { meaningError } from '../errors.ts';
import type { Block, Label, Labels } from '../model.ts';
import type { LabelPredicate, Stage, Unwrap } from '../syntax/ast.ts';
import { printStage, printUnwrap } from '../syntax/print.ts';
import { jsonExtractor } from './extract-json.ts';
import { jsonPathExtractor } from './extract-json-path.ts';
import { logfmtExtractor, logfmtFieldExtractor } from './extract-logfmt.ts';
import { patternExtractor, regexpExtractor, unpacker } from './extract-pattern.ts';
import { decolorizer, dropper, keeper, labelFormatter, lineFormatter } from './format.ts';
import { compilePredicate, type Predicate } from './label-filter.ts';
import { ERROR, ERROR_DETAILS, LabelContext, LabelState } from './label-state.ts';
import { type CompiledLineFilter, compileLineFilter } from './line-filter.ts';
import type { Observed, Pipeline, Row, StreamPipeline } from './pipeline.ts';
import type { PipelineProfile } from './profile.ts';
import { compileUnwrap } from './unwrap.ts';
import { type Wanted, wantedLabels } from './wanted.ts';

/** A stage for one row; false drops the entry. Keeps nothing of `state`, which serves every row. */
export type Step = (state: LabelState) => boolean;

export interface PipelineOptions {
  readonly observed: Observed;
  readonly unwrap?: Unwrap;
  /** The clock of the template function `now`. */
  readonly nowNs?: () => bigint;
  /** Takes down what each stage does. */
  readonly profile?: PipelineProfile | undefined;
}

const systemNowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** Throws QueryError for a stage that cannot be: a bad pattern, template, expression or address. */
export function compilePipeline(stages: readonly Stage[], { observed, unwrap, nowNs = systemNowNs, profile }: PipelineOptions): Pipeline {
  const wanted = wantedLabels(stages, observed, unwrap);
  // Line filters look at lines only, so those in front of anything that changes them can run over columns, even behind label filters:
  // all of these only drop rows, and an error that a label filter notes drops none that a line filter keeps.
  const filters: CompiledLineFilter[] = [];
  const steps: Step[] = [];
  let leading = true;
  for (const stage of reordered(stages)) {
    if (leading && stage.kind === 'line_filter') {
      const filter = inStage(stage, () => compileLineFilter(stage));
      filters.push(profile?.filter(printStage(stage), filter) ?? filter);
    } else {
      leading &&= KEEPS_LINE[stage.kind];
      const step = inStage(stage, () => compileStage(stage, wanted));
      steps.push(profile?.step(printStage(stage), step) ?? step);
    }
  }
  if (unwrap !== undefined) {
    const parts = [compileUnwrap(unwrap), ...unwrap.filters.map((filter) => compilePredicate(filter))];
    if (profile === undefined) steps.push(...parts);
    else steps.push(profile.step(printUnwrap(unwrap), (state) => parts.every((part) => part(state))));
  }
  const context = new LabelContext(observed, nowNs, {
    early: earlyFilters(stages, observed, unwrap),
    preservesErrors: wanted.isNamed(ERROR),
  });
  return new CompiledPipeline({ filters, steps, requiredLabels: requiredLabels(stages) }, context);
}

/** For LabelContext. A query that groups by labels has none: there Loki tells its parsers only which labels to extract. */
function earlyFilters(stages: readonly Stage[], observed: Observed, unwrap: Unwrap | undefined): Map<string, Predicate> {
  const filters = new Map<string, Predicate>();
  if (observed !== 'all' && observed.size > 0) return filters;
  const behind = unwrap?.filters.length === 1 ? unwrap.filters : [];
  for (const predicate of [...stages.flatMap((stage) => (stage.kind === 'label_filter' ? [stage.predicate] : [])), ...behind]) {
    if ('left' in predicate) continue;
    const { name } = predicate.kind === 'string' ? predicate.matcher : predicate;
    if (!filters.has(name)) filters.set(name, compilePredicate(predicate));
  }
  return filters;
}

const BARRIERS: ReadonlySet<Stage['kind']> = new Set(['label_filter', 'line_format', 'unpack']);

/** As Loki runs them: line filters come first of all stages up to the next one that filters by labels or makes another line. That decolorize makes another
 *  line is not counted: a line filter behind it sees the colours. */
function reordered(stages: readonly Stage[]): Stage[] {
  const out: Stage[] = [];
  let start = 0;
  for (let at = 0; at <= stages.length; at++) {
    if (at < stages.length && !BARRIERS.has(stages[at].kind)) continue;
    const segment = stages.slice(start, at + 1);
    out.push(...segment.filter(({ kind }) => kind === 'line_filter'), ...segment.filter(({ kind }) => kind !== 'line_filter'));
    start = at + 1;
  }
  return out;
}

/** What label filters in front of all that can change a label want. */
function requiredLabels(stages: readonly Stage[]): Label[] {
  const required: Label[] = [];
  for (const stage of stages) {
    if (stage.kind === 'label_filter') addRequired(stage.predicate, required);
    else if (stage.kind !== 'line_filter') break;
  }
  return required;
}

function addRequired(predicate: LabelPredicate, required: Label[]): void {
  if (predicate.kind === 'and') {
    addRequired(predicate.left, required);
    addRequired(predicate.right, required);
  } else if (predicate.kind === 'string') {
    const { name, op, value } = predicate.matcher;
    if (op === '=' && value !== '' && name !== ERROR && name !== ERROR_DETAILS) required.push([name, value]);
  }
}

/** Whether lines are after the stage what they were before it. */
const KEEPS_LINE: Readonly<Record<Stage['kind'], boolean>> = {
  line_filter: true,
  label_filter: true,
  json: true,
  logfmt: true,
  regexp: true,
  pattern: true,
  unpack: false,
  line_format: false,
  label_format: true,
  decolorize: false,
  drop: true,
  keep: true,
};

const always =
  (change: (state: LabelState) => void): Step =>
  (state) => {
    change(state);
    return true;
  };

/** By kind: a new one fails to compile until it is listed. */
const STAGES: { readonly [K in Stage['kind']]: (stage: Extract<Stage, { kind: K }>, wanted: Wanted) => Step } = {
  line_filter: (stage) => {
    const filter = compileLineFilter(stage);
    return (state) => filter.test(state.bytes, state.from, state.to);
  },
  label_filter: ({ predicate }) => compilePredicate(predicate),
  json: ({ expressions }, wanted) => (expressions.length === 0 ? jsonExtractor(wanted) : always(jsonPathExtractor(expressions, wanted))),
  logfmt: (stage, wanted) =>
    stage.expressions.length === 0 ? logfmtExtractor(stage, wanted) : always(logfmtFieldExtractor(stage.expressions, stage.strict, wanted)),
  regexp: ({ pattern }, wanted) => regexpExtractor(pattern, wanted),
  pattern: ({ pattern }, wanted) => patternExtractor(pattern, wanted),
  unpack: (_stage, wanted) => unpacker(wanted),
  line_format: ({ template }) => always(lineFormatter(template)),
  label_format: ({ assignments }) => always(labelFormatter(assignments)),
  decolorize: () => always(decolorizer()),
  drop: ({ items }) => always(dropper(items)),
  keep: ({ items }) => always(keeper(items)),
};

function compileStage<K extends Stage['kind']>(stage: Extract<Stage, { kind: K }>, wanted: Wanted): Step {
  return STAGES[stage.kind as K](stage, wanted);
}

/** Says in which stage something is wrong. */
function inStage<T>(stage: Stage, compile: () => T): T {
  try {
    return compile();
  } catch (error) {
    if (error instanceof Fault && error.code !== 'parse_error') throw error;
    const { message } = error as Error;
    const named = stage.kind === 'regexp' || stage.kind === 'pattern';
    throw meaningError(stage.at, named ? `invalid ${stage.kind} parser: ${message}` : `stage '${printStage(stage)}' : ${message}`, {
      cause: error,
    });
  }
}

/** Stages that are ready. */
interface Stages {
  readonly filters: readonly CompiledLineFilter[];
  readonly steps: readonly Step[];
  readonly requiredLabels: readonly Label[];
}

class CompiledPipeline implements Pipeline {
  readonly empty: boolean;
  readonly columnsOnly: boolean;
  readonly required: readonly string[];
  readonly requiredLabels: readonly Label[];
  readonly #filters: readonly CompiledLineFilter[];
  readonly #steps: readonly Step[];
  readonly #context: LabelContext;

  constructor({ filters, steps, requiredLabels }: Stages, context: LabelContext) {
    this.#context = context;
    this.#filters = filters;
    this.#steps = steps;
    this.columnsOnly = steps.length === 0;
    this.empty = this.columnsOnly && filters.length === 0;
    this.required = filters.flatMap(({ literals }) => literals);
    this.requiredLabels = requiredLabels;
  }

  forStream(labels: Labels): StreamPipeline {
    return new BoundPipeline(this.#filters, this.#steps, new LabelState(labels, this.#context));
  }
}

class BoundPipeline implements StreamPipeline {
  readonly #filters: readonly CompiledLineFilter[];
  readonly #steps: readonly Step[];
  readonly #state: LabelState;

  constructor(filters: readonly CompiledLineFilter[], steps: readonly Step[], state: LabelState) {
    this.#filters = filters;
    this.#steps = steps;
    this.#state = state;
  }

  select(block: Block, from: number, to: number, out: Uint32Array): number {
    let count = to - from;
    for (let index = 0; index < count; index++) out[index] = from + index;
    for (const filter of this.#filters) {
      if (count === 0) return 0;
      count = filter.narrow(block.lines(), block.ends(), out, count);
    }
    return count;
  }

  apply(block: Block, row: number): Row | undefined {
    const state = this.#state;
    state.reset(block, row);
    for (const step of this.#steps) if (!step(state)) return undefined;
    return state;
  }
}
