import type { Value } from './template-value.ts';

/** What of the entry a template sees besides its labels. */
export interface EntryContext {
  /** A byte string. */
  line(): string;
  timeNs(): bigint;
  /** For `now`. */
  nowNs(): bigint;
}

export type ParameterType = 'string' | 'int' | 'float' | 'time' | 'any';

export interface TemplateFunction {
  readonly parameters: readonly ParameterType[];
  /** Further arguments may follow, of the type `rest`. */
  readonly variadic: boolean;
  readonly rest?: ParameterType;
  /** Throws Error with the reason. */
  run(args: readonly Value[], entry: EntryContext): Value;
}

/** Parameter types by letter, `*` behind the last one for any number more of it: 'ss', 'ia*'. */
export function define(signature: string, run: TemplateFunction['run']): TemplateFunction {
  const letters: Readonly<Record<string, ParameterType>> = { s: 'string', i: 'int', f: 'float', t: 'time', a: 'any' };
  const variadic = signature.endsWith('*');
  const types = [...signature.replace('*', '')].map((letter) => letters[letter]);
  return variadic ? { parameters: types.slice(0, -1), variadic, rest: types[types.length - 1], run } : { parameters: types, variadic, run };
}
