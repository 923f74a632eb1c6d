import { formatGoTime, GoTime, yearDay } from './go-time.ts';
import type { EntryContext, TemplateFunction } from './template-define.ts';
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
import { isTrue, LabelMap, printValue, typeName, type Value } from './template-value.ts';

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

class Run {
  output = '';
  readonly #template: Template;
  readonly #entry: EntryContext;
  #steps = 0;
  #text = 0;
  #name = '';

  constructor(template: Template, entry: EntryContext) {
    this.#template = template;
    this.#entry = entry;
  }

  #error(at: number, context: string, what: string): TemplateExecutionError {
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
        if (node.pipe.variables.length === 0) this.#write(printValue(value));
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
        const body = this.#template.defined.get(node.name);
        if (body === undefined) throw this.#error(0, `{{template "${node.name}"}}`, `template "${node.name}" not defined`);
        if (depth >= MOST_DEPTH) throw this.#error(0, `{{template "${node.name}"}}`, `exceeded maximum template depth (${MOST_DEPTH})`);
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
    if (pairs === undefined)
      throw this.#error(node.pipe.commands[0].at, printPipe(node.pipe), `range can't iterate over ${printValue(value)}`);
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
    let value: Value;
    for (const [index, command] of pipe.commands.entries()) value = this.#command(command, dot, variables, index > 0, value);
    for (const name of pipe.variables) bind(variables, name, value, pipe.assigns);
    return value;
  }

  /** `final`: what the command before it in the pipeline gave, if `piped`. */
  #command(command: Command, dot: Value, variables: Variables, piped: boolean, final: Value): Value {
    const [first, ...rest] = command.args;
    if (first.kind === 'function') return this.#call(command, first.name, rest, dot, variables, piped, final);
    if (first.kind === 'nil') throw this.#error(command.at, printCommand(command), 'nil is not a command');
    if (first.kind === 'chain' || first.kind === 'variable' || first.kind === 'field') {
      const args = rest.map((node) => this.#operand(node, dot, variables, command));
      if (piped) args.push(final);
      return this.#operand(first, dot, variables, command, args);
    }
    if (rest.length > 0 || piped) {
      throw this.#error(command.at, printOperand(first), `can't give argument to non-function ${printOperand(first)}`);
    }
    return this.#operand(first, dot, variables, command);
  }

  #operand(node: Operand, dot: Value, variables: Variables, command: Command, args: readonly Value[] = []): Value {
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
        return this.#call(command, node.name, [], dot, variables, false, undefined);
      case 'field':
        return this.#fields(dot, node.path, node, command, args);
      case 'variable':
        return this.#fields(lookUp(variables, node.name), node.path, node, command, args);
      case 'chain':
        return this.#fields(this.#operand(node.of, dot, variables, command), node.path, node, command, args);
    }
  }

  #fields(start: Value, path: readonly string[], node: Operand, command: Command, args: readonly Value[]): Value {
    let value = start;
    for (const [index, field] of path.entries()) {
      const last = index === path.length - 1;
      if (value instanceof GoTime) {
        const method = TIME_METHODS[field];
        if (method === undefined) throw this.#error(command.at, printOperand(node), `can't evaluate field ${field} in type time.Time`);
        value = method(value, last ? args : []);
        if (last) return value;
        continue;
      }
      if (!(value instanceof Map)) {
        if (value === undefined || value === null)
          throw this.#error(command.at, printOperand(node), `nil data; no entry for key "${field}"`);
        throw this.#error(command.at, printOperand(node), `can't evaluate field ${field} in type ${typeName(value)}`);
      }
      value = (value as ReadonlyMap<string, Value>).get(field) ?? (value instanceof LabelMap ? '' : undefined);
    }
    if (args.length > 0)
      throw this.#error(
        command.at,
        printOperand(node),
        `${path.at(-1) ?? printOperand(node)} has arguments but cannot be invoked as function`,
      );
    return value;
  }

  #call(command: Command, name: string, nodes: readonly Operand[], dot: Value, variables: Variables, piped: boolean, final: Value): Value {
    this.#step();
    const called = findFunction(name)!;
    if (name === 'and' || name === 'or') return this.#junction(name, nodes, dot, variables, command, piped, final);
    const given = nodes.length + (piped ? 1 : 0);
    const wanted = called.parameters.length;
    if (called.variadic ? given < wanted : given !== wanted) {
      const bound = called.variadic ? `at least ${wanted}` : `${wanted}`;
      throw this.#error(command.at, name, `wrong number of args for ${name}: want ${bound} got ${given}`);
    }
    const args = nodes.map((node) => this.#operand(node, dot, variables, command));
    if (piped) args.push(final);
    for (const [index, value] of args.entries()) {
      const problem = mismatch(called, index, value, nodes[index]);
      if (problem !== undefined)
        throw this.#error(command.at, nodes[index] === undefined ? printCommand(command) : printOperand(nodes[index]), problem);
      if (called.parameters[index] === 'string' && value === undefined) args[index] = '';
    }
    for (const value of args) this.#spend(value);
    try {
      const result = called.run(args, this.#entry);
      this.#spend(result);
      return result;
    } catch (error) {
      if (error instanceof TemplateExecutionError) throw error;
      throw this.#error(command.at, printCommand(command), `error calling ${name}: ${(error as Error).message}`);
    }
  }

  #spend(value: Value): void {
    if (typeof value === 'string' || Array.isArray(value)) this.#text += value.length;
    else if (value instanceof Map) this.#text += value.size;
    if (this.#text > MOST_TEXT) {
      throw new TemplateExecutionError(`template: ${this.#template.name}: exceeded ${MOST_TEXT} bytes of text in its functions`);
    }
  }

  #junction(
    name: 'and' | 'or',
    nodes: readonly Operand[],
    dot: Value,
    variables: Variables,
    command: Command,
    piped: boolean,
    final: Value,
  ): Value {
    let value: Value;
    for (const node of nodes) {
      value = this.#operand(node, dot, variables, command);
      if (isTrue(value) === (name === 'or')) return value;
    }
    return piped ? final : value;
  }
}

/** Why a value cannot be the argument at `index`, if so. */
function mismatch({ parameters, rest }: TemplateFunction, index: number, value: Value, node: Operand | undefined): string | undefined {
  const wanted = index < parameters.length ? parameters[index] : rest;
  if (wanted === 'any' || wanted === undefined || (value === undefined && wanted === 'string')) return undefined;
  const fits = wanted === 'string' ? typeof value === 'string' : typeof value === 'bigint';
  if (fits) return undefined;
  if (node !== undefined && ['bool', 'integer', 'float', 'string'].includes(node.kind)) {
    return `expected ${wanted === 'int' ? 'integer' : wanted}; found ${printOperand(node)}`;
  }
  return `wrong type for value; expected ${wanted}; got ${typeName(value)}`;
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
  UnixMilli: (time) => time.unix * 1000n + BigInt(Math.floor(time.nanosecond / 1e6)),
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
};
