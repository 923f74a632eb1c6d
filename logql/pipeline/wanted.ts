import type { LabelPredicate, Stage, Unwrap } from '../syntax/ast.ts';
import type { LabelState } from './label-state.ts';
import type { Observed } from './pipeline.ts';
import { templateFields } from './template-parse.ts';

const DUPLICATE = '_extracted';

/** Which labels parsers have to extract. */
export class Wanted {
  /** undefined: every label. */
  readonly #names: ReadonlySet<string> | undefined;
  readonly #list: readonly string[];

  constructor(names: ReadonlySet<string> | undefined) {
    this.#names = names;
    this.#list = [...(names ?? [])];
  }

  /** Nobody looks at any label, so that parsers need not run; then no line is malformed either. */
  get nothing(): boolean {
    return this.#names?.size === 0;
  }

  has(name: string): boolean {
    if (this.#list.length === 1) return this.#list[0] === name;
    return this.#names === undefined || this.#names.has(name);
  }

  /** Whether a field of this name may become a label that is wanted: by its own name, or by the one that it gets where that is taken. */
  mayHave(name: string): boolean {
    return this.has(name) || this.has(name + DUPLICATE);
  }

  /** Whether this very label is asked for, rather than every label. */
  isNamed(name: string): boolean {
    return this.#names?.has(name) ?? false;
  }

  /** Whether a label whose name begins with `prefix` and `_` may be wanted. */
  hasUnder(prefix: string): boolean {
    if (this.#names === undefined) return true;
    for (const name of this.#names) if (name.startsWith(prefix)) return true;
    return false;
  }

  /** Whether the rest of the line can be left unread. What is wrong in it is then not an error. */
  complete(state: LabelState): boolean {
    if (this.#names === undefined || state.namesSet < this.#list.length) return false;
    for (const name of this.#list) if (!state.wasSet(name)) return false;
    return true;
  }
}

/** What the stages, the unwrap and whoever comes after them look at. */
export function wantedLabels(stages: readonly Stage[], observed: Observed, unwrap: Unwrap | undefined): Wanted {
  if (observed === 'all') return new Wanted(undefined);
  const names = new Set<string>();
  // A label that is looked for as `x_extracted` is in the line as `x`.
  const add = (name: string) => {
    names.add(name);
    if (name.endsWith(DUPLICATE)) names.add(name.slice(0, -DUPLICATE.length));
  };
  for (const name of observed) add(name);
  for (const stage of stages) {
    if (stage.kind === 'label_filter') predicateNames(stage.predicate, add);
    if (stage.kind === 'line_format') for (const field of templateFields(stage.template, 'line')) add(field);
    if (stage.kind !== 'label_format') continue;
    for (const assignment of stage.assignments) {
      if (assignment.kind === 'rename') add(assignment.from);
      else for (const field of templateFields(assignment.template, 'label')) add(field);
    }
  }
  if (unwrap !== undefined) {
    add(unwrap.label);
    for (const filter of unwrap.filters) predicateNames(filter, add);
  }
  return new Wanted(names);
}

function predicateNames(predicate: LabelPredicate, add: (name: string) => void): void {
  switch (predicate.kind) {
    case 'and':
    case 'or':
      predicateNames(predicate.left, add);
      predicateNames(predicate.right, add);
      break;
    case 'string':
      add(predicate.matcher.name);
      break;
    default:
      add(predicate.name);
  }
}
