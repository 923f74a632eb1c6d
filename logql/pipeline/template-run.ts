import { ConversionError } from './go-parse.ts';
import { formatGoTime, GoTime, yearDay, ZERO_TIME } from './go-time.ts';
import type { EntryContext, ParameterType, TemplateFunction } from './template-define.ts';
import { findFunction } from './template-functions.ts';
import {
  type Command,
  type ControlNode,
  type Operand,
  type Pipe,
  parseTemplate,
  printCommand,
  printOperand,
  type Template,
  type TemplateNode,
} from './template-parse.ts';
import { fromBytes, isTrue, LabelMap, printValue, toBytes, typeName, type Value } from './template-value.ts';

/** Why a template gave no text, in Go's words; reaches __error_details__. */
export class TemplateExecutionError extends Error {}

/** Nodes and elements that one run may visit, and bytes that it may write: a template must not hold up a query. */
const MOST_STEPS = 100_000;
const MOST_OUTPUT = 1024 * 1024;
/** Bytes and elements that functions of one run may take in and give. */
const MOST_TEXT = 16 * 1024 * 1024;
const MOST_DEPTH = 100;

/** Throws TemplateSyntaxError. `name`: what Go's error texts call the template. */
export function compileTemplate(text: string, name: string): CompiledTemplate {
  return new CompiledTemplate(parseTemplate(text, name, (called) => findFunction(called) !== undefined));
}

export class CompiledTemplate {
  readonly #template: Template;

  constructor(template: Template) {
    this.#template = template;
  }

  /** The label that the template shows, if it does nothing else. */
  get soleField(): string | undefined {
    const [node, ...others] = this.#template.body;
    if (node?.kind !== 'action' || others.length > 0 || node.pipe.commands.length !== 1) return undefined;
    const [operand, ...rest] = node.pipe.commands[0].args;
    return operand.kind === 'field' && operand.path.length === 1 && rest.length === 0 ? fromBytes(operand.path[0]) : undefined;
  }

  /** Runs the template over an entry's labels; all strings are byte strings. Throws TemplateExecutionError. */
  run(labels: LabelMap, entry: EntryContext): string {
    const run = new Run(this.#template, entry);
    run.list(this.#template.body, labels, this.#template.name, [['$', labels]], 0);
    return run.output;
  }
}

type Variables = [name: string, value: Value][];

class Break extends Error {}
class Continue extends Error {}

/** A node as error texts name it. */
interface Place {
  readonly at: number;
  readonly context: string;
}

class Run {
  output = '';
  readonly #template: Template;
  readonly #entry: EntryContext;
  #steps = 0;
  #text = 0;
  #name = '';
  /** What is evaluated, or was last: where an error is said to be. Go's templates are not always right about that, and clients see it. */
  #place: Operand | Command | undefined;

  constructor(template: Template, entry: EntryContext) {
    this.#template = template;
    this.#entry = entry;
  }

  #error(what: string, { at, context }: Place = placeOf(this.#place)): TemplateExecutionError {
    const before = this.#template.text.slice(0, at);
    const line = before.split('\n').length;
    const column = at - (before.lastIndexOf('\n') + 1);
    return new TemplateExecutionError(
      `template: ${this.#template.name}:${line}:${column}: executing "${this.#name}" at <${context}>: ${what}`,
    );
  }

  list(nodes: readonly TemplateNode[], dot: Value, name: string, variables: Variables, depth: number): void {
    this.#name = name;
    for (const node of nodes) this.#node(node, dot, name, variables, depth);
  }

  #step(steps = 1): void {
    this.#steps += steps;
    if (this.#steps > MOST_STEPS) throw new TemplateExecutionError(`template: ${this.#template.name}: exceeded ${MOST_STEPS} steps`);
  }

  #node(node: TemplateNode, dot: Value, name: string, variables: Variables, depth: number): void {
    this.#step();
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        return;
      case 'action': {
        const value = this.#pipe(node.pipe, dot, variables);
        if (node.pipe.variables.length === 0) this.#write(printValue(value ?? undefined));
        return;
      }
      case 'if':
      case 'with': {
        const inner = [...variables];
        const value = this.#pipe(node.pipe, dot, inner);
        if (isTrue(value)) this.list(node.body, node.kind === 'with' ? value : dot, name, inner, depth);
        else this.list(node.otherwise, dot, name, inner, depth);
        return;
      }
      case 'range':
        this.#range(node, dot, name, [...variables], depth);
        return;
      case 'template': {
        const place = { at: 0, context: `{{template "${node.name}"}}` };
        const body = this.#template.defined.get(node.name);
        if (body === undefined) throw this.#error(`template "${node.name}" not defined`, place);
        if (depth >= MOST_DEPTH) throw this.#error(`exceeded maximum template depth (${MOST_DEPTH})`, place);
        const inner = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot, variables);
        this.list(body, inner, node.name, [['$', inner]], depth + 1);
        this.#name = name;
        return;
      }
      case 'break':
        throw new Break();
      case 'continue':
        throw new Continue();
    }
  }

  #write(text: string): void {
    this.output += text;
    if (this.output.length > MOST_OUTPUT)
      throw new TemplateExecutionError(`template: ${this.#template.name}: output exceeds ${MOST_OUTPUT} bytes`);
  }

  #range(node: ControlNode, dot: Value, name: string, variables: Variables, depth: number): void {
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot, variables);
    if (value instanceof Map) this.#step(value.size); // it is sorted for each loop
    const pairs = rangePairs(value);
    if (pairs === undefined) throw this.#error(`range can't iterate over ${printValue(value)}`);
    let any = false;
    for (const [key, element] of pairs) {
      any = true;
      this.#step();
      const inner = node.pipe.assigns ? variables : [...variables];
      const names = node.pipe.variables;
      if (names.length === 1) bind(inner, names[0], element, node.pipe.assigns);
      if (names.length === 2) {
        bind(inner, names[0], key, node.pipe.assigns);
        bind(inner, names[1], element, node.pipe.assigns);
      }
      try {
        this.list(node.body, element, name, inner, depth);
      } catch (error) {
        if (error instanceof Break) break;
        if (!(error instanceof Continue)) throw error;
      }
    }
    if (!any) this.list(node.otherwise, dot, name, variables, depth);
  }

  #pipe(pipe: Pipe, dot: Value, variables: Variables): Value {
    this.#place = pipe;
    let value: Value;
    for (const [index, command] of pipe.commands.entries()) value = this.#command(command, dot, variables, index > 0, value);
    for (const name of pipe.variables) bind(variables, name, value, pipe.assigns);
    return value;
  }

  /** `final`: what the command before it in the pipeline gave, if `piped`. */
  #command(command: Command, dot: Value, variables: Variables, piped: boolean, final: Value): Value {
    const [first, ...rest] = command.args;
    const isBare = rest.length === 0 && !piped;
    if (first.kind === 'function') return this.#call(command, first, rest, dot, variables, piped, final);
    if (first.kind === 'field' || first.kind === 'chain' || (first.kind === 'variable' && first.path.length > 0)) {
      return this.#operand(first, dot, variables, isBare ? undefined : { nodes: rest, piped, final });
    }
    if (first.kind !== 'pipe') this.#place = first;
    if (!isBare) throw this.#error(`can't give argument to non-function ${printOperand(first)}`);
    if (first.kind === 'nil') throw this.#error('nil is not a command');
    return this.#operand(first, dot, variables);
  }

  /** `given`: the arguments of the method that the operand's last field is, if it is one. */
  #operand(node: Operand, dot: Value, variables: Variables, given?: Arguments): Value {
    this.#place = node;
    switch (node.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'bool':
      case 'integer':
      case 'float':
      case 'string':
        return node.value;
      case 'pipe':
        return this.#pipe(node, dot, variables);
      case 'function':
        return this.#call(undefined, node, [], dot, variables, false, undefined);
      case 'field':
        return this.#fields(dot, node.path, dot, variables, given);
      case 'variable':
        return this.#fields(lookUp(variables, node.name), node.path, dot, variables, given);
      case 'chain':
        if (node.of.kind === 'nil') throw this.#error(`indirection through explicit nil in ${printOperand(node)}`);
        return this.#fields(this.#operand(node.of, dot, variables) ?? undefined, node.path, dot, variables, given);
    }
  }

  #fields(start: Value, path: readonly string[], dot: Value, variables: Variables, given: Arguments | undefined): Value {
    let value = start;
    for (const [index, field] of path.entries()) {
      const args = index === path.length - 1 ? given : undefined;
      if (value === undefined) return undefined;
      if (value === null) throw this.#error(`nil pointer evaluating interface {}.${field}`);
      if (value instanceof GoTime) {
        const method = TIME_METHODS[field];
        if (method === undefined) throw this.#error(`can't evaluate field ${field} in type time.Time`);
        const values = args === undefined ? [] : args.nodes.map((node) => this.#operand(node, dot, variables));
        value = method(value, args?.piped ? [...values, args.final] : values);
      } else if (value instanceof Map) {
        if (args !== undefined) throw this.#error(`${field} is not a method but has arguments`);
        value = (value as ReadonlyMap<string, Value>).get(field) ?? (value instanceof LabelMap ? '' : null);
      } else throw this.#error(`can't evaluate field ${field} in type ${typeName(value)}`);
    }
    return value;
  }

  /** `command`: the one that the function's name begins; none where it is an argument itself. */
  #call(
    command: Command | undefined,
    node: Extract<Operand, { kind: 'function' }>,
    nodes: readonly Operand[],
    dot: Value,
    variables: Variables,
    piped: boolean,
    final: Value,
  ): Value {
    this.#step();
    const { name } = node;
    this.#place = node;
    const called = findFunction(name)!;
    const given = nodes.length + (piped ? 1 : 0);
    const wanted = called.parameters.length;
    if (called.variadic && given < wanted) {
      throw this.#error(`wrong number of args for ${name}: want at least ${wanted} got ${nodes.length}`);
    }
    if (!called.variadic && given !== wanted) throw this.#error(`wrong number of args for ${name}: want ${wanted} got ${given}`);
    if (name === 'and' || name === 'or') return this.#junction(name, nodes, dot, variables, piped, final);
    const args = nodes.map((operand, index) => this.#argument(called, index, operand, dot, variables));
    if (piped) args.push(this.#fitting(typeAt(called, nodes.length), final));
    for (const value of args) this.#spend(value);
    try {
      const result = called.run(args, this.#entry);
      this.#spend(result);
      return result;
    } catch (error) {
      this.#place = command ?? node;
      const { message } = error as Error;
      throw this.#error(`error calling ${name}: ${error instanceof ConversionError ? toBytes(message) : message}`);
    }
  }

  #argument(called: TemplateFunction, index: number, node: Operand, dot: Value, variables: Variables): Value {
    const type = typeAt(called, index);
    const value = this.#operand(node, dot, variables);
    if (node.kind === 'nil') {
      if (type !== 'any') throw this.#error(`cannot assign nil to ${GO_TYPES[type]}`);
      return value;
    }
    if (type === 'any' || !LITERALS.has(node.kind)) return this.#fitting(type, value);
    const literal = literalAs(type, node);
    if (literal !== undefined) return literal;
    if (type === 'time') throw this.#error(`can't handle ${printOperand(node)} for arg of type time.Time`);
    throw this.#error(`expected ${type === 'int' ? 'integer' : type}; found ${printOperand(node)}`);
  }

  /** `value`, if it is of the type. */
  #fitting(type: ParameterType, value: Value): Value {
    if (type === 'any' || FITS[type](value)) return value;
    if (value === undefined) throw this.#error(`invalid value; expected ${GO_TYPES[type]}`);
    throw this.#error(`wrong type for value; expected ${GO_TYPES[type]}; got ${value === null ? 'interface {}' : typeName(value)}`);
  }

  #spend(value: Value): void {
    if (typeof value === 'string' || Array.isArray(value)) this.#text += value.length;
    else if (value instanceof Map) this.#text += value.size;
    if (this.#text > MOST_TEXT) {
      throw new TemplateExecutionError(`template: ${this.#template.name}: exceeded ${MOST_TEXT} bytes of text in its functions`);
    }
  }

  #junction(name: 'and' | 'or', nodes: readonly Operand[], dot: Value, variables: Variables, piped: boolean, final: Value): Value {
    let value: Value;
    for (const node of nodes) {
      value = this.#operand(node, dot, variables);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return piped ? final : value;
  }
}

interface Arguments {
  readonly nodes: readonly Operand[];
  readonly piped: boolean;
  readonly final: Value;
}

function placeOf(node: Operand | Command | undefined): Place {
  if (node === undefined) return { at: 0, context: '' };
  if (!('kind' in node)) return { at: node.at, context: printCommand(node) };
  return { at: node.at, context: node.kind === 'pipe' ? printPipe(node) : printOperand(node) };
}

function typeAt({ parameters, rest }: TemplateFunction, index: number): ParameterType {
  return index < parameters.length ? parameters[index] : (rest ?? 'any');
}

type CheckedType = Exclude<ParameterType, 'any'>;
const GO_TYPES: Readonly<Record<CheckedType, string>> = { string: 'string', int: 'int', float: 'float64', time: 'time.Time' };
const FITS: Readonly<Record<CheckedType, (value: Value) => boolean>> = {
  string: (value) => typeof value === 'string',
  int: (value) => typeof value === 'bigint',
  float: (value) => typeof value === 'number',
  time: (value) => value instanceof GoTime,
};

const LITERALS: ReadonlySet<Operand['kind']> = new Set(['bool', 'integer', 'float', 'string']);

/** What a literal is to a parameter of the type: `2` also a float, `2.0` also an integer; undefined if it is nothing. */
function literalAs(type: CheckedType, node: Operand): Value {
  if (node.kind === 'integer') return type === 'int' ? node.value : type === 'float' ? Number(node.value) : undefined;
  if (node.kind === 'float') {
    if (type === 'int') return Number.isSafeInteger(node.value) ? BigInt(node.value) : undefined;
    return type === 'float' ? node.value : undefined;
  }
  return node.kind === 'string' && type === 'string' ? node.value : undefined;
}

function printPipe({ commands }: Pipe): string {
  return commands.map(printCommand).join(' | ');
}

function bind(variables: Variables, name: string, value: Value, assigns: boolean): void {
  const known = assigns ? variables.findLast(([known]) => known === name) : undefined;
  if (known === undefined) variables.push([name, value]);
  else known[1] = value;
}

function lookUp(variables: Variables, name: string): Value {
  return variables.findLast(([known]) => known === name)?.[1];
}

function rangePairs(value: Value): Iterable<readonly [Value, Value]> | undefined {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return elementsOf(value);
  if (value instanceof Map) return [...(value as ReadonlyMap<string, Value>)].sort(([a], [b]) => (a < b ? -1 : 1));
  return typeof value === 'bigint' ? countTo(value) : undefined;
}

function* elementsOf(list: readonly Value[]): Generator<readonly [Value, Value]> {
  for (const [index, element] of list.entries()) yield [BigInt(index), element];
}

function* countTo(end: bigint): Generator<readonly [Value, Value]> {
  for (let index = 0n; index < end; index++) yield [index, index];
}

const TIME_METHODS: Readonly<Record<string, (time: GoTime, args: readonly Value[]) => Value>> = {
  Unix: (time) => time.unix,
  UnixMilli: (time) => time.unixMs,
  UnixMicro: (time) => time.unix * 1_000_000n + BigInt(Math.floor(time.nanosecond / 1e3)),
  UnixNano: (time) => time.ns,
  Nanosecond: (time) => BigInt(time.nanosecond),
  Second: (time) => BigInt(time.wall.getUTCSeconds()),
  Minute: (time) => BigInt(time.wall.getUTCMinutes()),
  Hour: (time) => BigInt(time.wall.getUTCHours()),
  Day: (time) => BigInt(time.wall.getUTCDate()),
  YearDay: (time) => BigInt(yearDay(time.wall)),
  Month: (time) => formatGoTime(time, 'January'),
  Weekday: (time) => formatGoTime(time, 'Monday'),
  Year: (time) => BigInt(time.wall.getUTCFullYear()),
  Format: (time, [layout]) => formatGoTime(time, typeof layout === 'string' ? layout : ''),
  String: (time) => printValue(time),
  UTC: (time) => new GoTime(time.ns),
  IsZero: (time) => time.ns === ZERO_TIME,
  Before: (time, [other]) => other instanceof GoTime && time.ns < other.ns,
  After: (time, [other]) => other instanceof GoTime && time.ns > other.ns,
  Equal: (time, [other]) => other instanceof GoTime && time.ns === other.ns,
};
