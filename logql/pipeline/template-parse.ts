import { lexTemplate, type Token } from './template-lex.ts';

/** Go's text/template. Texts in nodes are byte strings: one char for each byte of UTF-8, so that lengths and cuts are Go's. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | ControlNode
  | { readonly kind: 'template'; readonly name: string; readonly pipe: Pipe | undefined }
  | { readonly kind: 'break' | 'continue' };

export interface ControlNode {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipe: Pipe;
  readonly body: readonly TemplateNode[];
  readonly otherwise: readonly TemplateNode[];
}

export interface Pipe {
  readonly kind: 'pipe';
  readonly at: number;
  /** Variables on the left of `:=`, or of `=` if `assigns`. */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export interface Command {
  readonly args: readonly Operand[];
  /** Byte offset in the template. */
  readonly at: number;
}

/** `at`: where Go's error texts say that it is. */
export type Operand = { readonly at: number } & (
  | Pipe
  | { readonly kind: 'dot' | 'nil' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'integer'; readonly value: bigint; readonly source: string }
  | { readonly kind: 'float'; readonly value: number; readonly source: string }
  | { readonly kind: 'string'; readonly value: string; readonly source: string }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'chain'; readonly of: Operand; readonly path: readonly string[] }
);

export interface Template {
  readonly name: string;
  readonly text: string;
  readonly body: readonly TemplateNode[];
  /** By name, from `define` and `block`. */
  readonly defined: ReadonlyMap<string, readonly TemplateNode[]>;
}

/** What is wrong with a template's text, in Go's words. */
export class TemplateSyntaxError extends Error {}

/** Parses `text`, a template called `name`; functions it may call are those for which `known` holds. Throws TemplateSyntaxError. */
export function parseTemplate(text: string, name: string, known: (name: string) => boolean): Template {
  const bytes = Buffer.from(text).toString('latin1');
  return new TemplateParser(bytes, name, known).parse();
}

/** The labels that a template names, `.field` anywhere in it. A template that cannot be parsed names none. */
export function templateFields(text: string, name: string): string[] {
  const fields = new Set<string>();
  const operand = (node: Operand): void => {
    if (node.kind === 'pipe') pipe(node);
    else if (node.kind === 'field') fields.add(node.path[0]);
    else if (node.kind === 'variable' && node.path.length > 0) fields.add(node.path[0]);
    else if (node.kind === 'chain') operand(node.of);
  };
  const pipe = (node: Pipe | undefined): void => {
    for (const command of node?.commands ?? []) command.args.forEach(operand);
  };
  const list = (nodes: readonly TemplateNode[]): void => {
    for (const node of nodes) {
      if (node.kind === 'action' || node.kind === 'template') pipe(node.pipe);
      else if (node.kind === 'if' || node.kind === 'with' || node.kind === 'range') {
        pipe(node.pipe);
        list(node.body);
        list(node.otherwise);
      }
    }
  };
  try {
    const template = parseTemplate(text, name, () => true);
    list(template.body);
    for (const body of template.defined.values()) list(body);
  } catch (error) {
    if (!(error instanceof TemplateSyntaxError)) throw error;
  }
  return [...fields];
}

const MAX_DEPTH = 100;
const MAX_VARIABLES = 500;

class TemplateParser {
  readonly #text: string;
  readonly #name: string;
  readonly #known: (name: string) => boolean;
  readonly #tokens: readonly Token[];
  readonly #defined = new Map<string, readonly TemplateNode[]>();
  #next = 0;
  #depth = 0;
  /** Variables in scope, innermost last. */
  #variables: string[] = ['$'];
  #loops = 0;

  constructor(text: string, name: string, known: (name: string) => boolean) {
    this.#text = text;
    this.#name = name;
    this.#known = known;
    this.#tokens = lexTemplate(text, (at, what) => this.#error(what, at));
  }

  parse(): Template {
    const body = this.#list(true);
    return { name: this.#name, text: this.#text, body, defined: this.#defined };
  }

  #error(what: string, at = this.#tokens[this.#next]?.at ?? this.#text.length): TemplateSyntaxError {
    const line = this.#text.slice(0, at).split('\n').length;
    return new TemplateSyntaxError(`template: ${this.#name}:${line}: ${what}`);
  }

  get #token(): Token {
    return this.#tokens[this.#next];
  }

  #take(): Token {
    return this.#tokens[this.#next++];
  }

  #accept(kind: Token['kind'], text?: string): Token | undefined {
    const token = this.#token;
    return token.kind === kind && (text === undefined || token.text === text) ? this.#take() : undefined;
  }

  #unexpected(where: string): TemplateSyntaxError {
    const { kind, text } = this.#token;
    return this.#error(kind === 'end' ? 'unexpected EOF' : `unexpected ${kind === 'close' ? '"}}"' : `<${text}>`} in ${where}`);
  }

  /** Nodes up to `end` or `else`, which stay, or up to the end of the text if `top`. */
  #list(top = false): TemplateNode[] {
    if (++this.#depth > MAX_DEPTH) throw this.#error('nested too deeply');
    const nodes: TemplateNode[] = [];
    while (this.#token.kind !== 'end') {
      if (this.#token.kind === 'text') {
        nodes.push({ kind: 'text', text: this.#take().text });
        continue;
      }
      const keyword = this.#tokens[this.#next + 1];
      if (keyword.kind === 'keyword' && (keyword.text === 'end' || keyword.text === 'else')) {
        if (top) throw this.#error(`unexpected {{${keyword.text}}}`);
        this.#depth--;
        return nodes;
      }
      this.#take();
      const node = this.#action(top);
      if (node !== undefined) nodes.push(node);
    }
    if (!top) throw this.#error('unexpected EOF');
    return nodes;
  }

  #action(top: boolean): TemplateNode | undefined {
    const keyword = this.#accept('keyword')?.text;
    switch (keyword) {
      case undefined: {
        const pipe = this.#pipe('command', 'close');
        return { kind: 'action', pipe };
      }
      case 'if':
      case 'with':
      case 'range':
        return this.#control(keyword);
      case 'define': {
        if (!top) throw this.#error('unexpected {{define}}');
        const name = this.#quotedName('define clause');
        this.#close('define clause');
        this.#defined.set(
          name,
          this.#scoped(() => this.#bodyToEnd()),
        );
        return undefined;
      }
      case 'block': {
        const name = this.#quotedName('block clause');
        const pipe = this.#pipe('block clause', 'close');
        this.#defined.set(
          name,
          this.#scoped(() => this.#bodyToEnd()),
        );
        return { kind: 'template', name, pipe };
      }
      case 'template': {
        const name = this.#quotedName('template clause');
        const pipe = this.#token.kind === 'close' ? undefined : this.#pipe('template clause', 'close');
        if (pipe === undefined) this.#take();
        return { kind: 'template', name, pipe };
      }
      case 'break':
      case 'continue':
        if (this.#loops === 0) throw this.#error(`{{${keyword}}} outside {{range}}`);
        this.#close(`{{${keyword}}}`);
        return { kind: keyword };
      default:
        throw this.#error(`unexpected {{${keyword}}}`);
    }
  }

  #close(where: string): void {
    if (this.#accept('close') === undefined) throw this.#unexpected(where);
  }

  #quotedName(where: string): string {
    const token = this.#accept('string');
    if (token === undefined) throw this.#unexpected(where);
    return token.value ?? '';
  }

  /** A template of its own knows only `$`. */
  #scoped<T>(parse: () => T): T {
    const [variables, loops] = [this.#variables, this.#loops];
    this.#variables = ['$'];
    this.#loops = 0;
    const result = parse();
    this.#variables = variables;
    this.#loops = loops;
    return result;
  }

  #bodyToEnd(): TemplateNode[] {
    const body = this.#list();
    this.#take();
    if (this.#take().text !== 'end') throw this.#error('unexpected {{else}}');
    this.#close('end');
    return body;
  }

  #control(kind: 'if' | 'with' | 'range'): TemplateNode {
    const scope = this.#variables.length;
    const pipe = this.#pipe(kind, 'close');
    if (kind === 'range') this.#loops++;
    const body = this.#list();
    if (kind === 'range') this.#loops--;
    let otherwise: TemplateNode[] = [];
    this.#take();
    if (this.#take().text === 'else') {
      const chained = kind === 'range' ? undefined : this.#accept('keyword', kind);
      if (chained !== undefined) {
        // `else if` is an if of its own within the else, and shares its end.
        otherwise = [this.#control(kind)];
        this.#variables.length = scope;
        return { kind, pipe, body, otherwise };
      }
      this.#close('else');
      otherwise = this.#list();
      this.#take();
      if (this.#take().text !== 'end') throw this.#error('expected end; found {{else}}');
    }
    this.#close('end');
    this.#variables.length = scope;
    return { kind, pipe, body, otherwise };
  }

  #pipe(where: string, end: 'close' | 'right'): Pipe {
    if (++this.#depth > MAX_DEPTH) throw this.#error('nested too deeply');
    const { at } = this.#token;
    const variables: string[] = [];
    let assigns = false;
    if (this.#token.kind === 'variable') {
      const [second, third, fourth] = [1, 2, 3].map((ahead) => this.#tokens[this.#next + ahead]);
      if (second.kind === 'declare' || second.kind === 'assign') {
        variables.push(this.#take().text);
        assigns = this.#take().kind === 'assign';
      } else if (
        where === 'range' &&
        second.kind === 'comma' &&
        third.kind === 'variable' &&
        (fourth.kind === 'declare' || fourth.kind === 'assign')
      ) {
        variables.push(this.#take().text);
        this.#take();
        variables.push(this.#take().text);
        assigns = this.#take().kind === 'assign';
      }
      for (const name of variables) {
        if (assigns && !this.#variables.includes(name)) throw this.#error(`undefined variable "${name}"`);
      }
    }
    const commands: Command[] = [];
    for (;;) {
      if (this.#token.kind === end) {
        this.#take();
        break;
      }
      commands.push(this.#command(where, end));
    }
    if (commands.length === 0) throw this.#error(`missing value for ${where}`);
    const constant = commands.slice(1).find(({ args }) => ['bool', 'dot', 'nil', 'integer', 'float', 'string'].includes(args[0].kind));
    if (constant !== undefined) throw this.#error(`non executable command in pipeline stage ${commands.indexOf(constant) + 1}`);
    if (!assigns) this.#variables.push(...variables);
    if (this.#variables.length > MAX_VARIABLES) throw this.#error(`more than ${MAX_VARIABLES} variables`);
    this.#depth--;
    return { kind: 'pipe', variables, assigns, commands, at };
  }

  #command(where: string, end: Token['kind']): Command {
    const at = this.#token.at;
    const args: Operand[] = [];
    while (this.#token.kind !== end && this.#token.kind !== 'pipe') args.push(this.#operand(where));
    if (this.#accept('pipe') !== undefined && this.#token.kind === end) throw this.#error(`missing value for ${where}`);
    if (args.length === 0) throw this.#error('empty command');
    return { args, at };
  }

  #operand(where: string): Operand {
    const node = this.#term(where);
    const path: string[] = [];
    const { at } = this.#token;
    // A field that touches what stands before belongs to it.
    while (this.#token.kind === 'field' && !this.#token.spaced) path.push(this.#take().text.slice(1));
    if (path.length === 0) return node;
    if (node.kind === 'field') return { kind: 'field', path: [...node.path, ...path], at };
    if (node.kind === 'variable') return { kind: 'variable', name: node.name, path: [...node.path, ...path], at };
    if (['bool', 'string', 'integer', 'float', 'nil', 'dot'].includes(node.kind))
      throw this.#error(`unexpected . after term "${printOperand(node)}"`);
    return { kind: 'chain', of: node, path, at };
  }

  #term(where: string): Operand {
    const token = this.#token;
    const { at } = token;
    switch (token.kind) {
      case 'word':
        if (token.text === 'true' || token.text === 'false') return { kind: 'bool', value: this.#take().text === 'true', at };
        if (token.text === 'nil') {
          this.#take();
          return { kind: 'nil', at };
        }
        if (!this.#known(token.text)) throw this.#error(`function "${token.text}" not defined`);
        return { kind: 'function', name: this.#take().text, at };
      case 'dot':
        this.#take();
        return { kind: 'dot', at };
      case 'field':
        return { kind: 'field', path: [this.#take().text.slice(1)], at };
      case 'variable':
        if (!this.#variables.includes(token.text)) throw this.#error(`undefined variable "${token.text}"`);
        return { kind: 'variable', name: this.#take().text, path: [], at };
      case 'string':
        this.#take();
        return { kind: 'string', value: token.value ?? '', source: token.text, at };
      case 'number': {
        this.#take();
        const { text } = token;
        const number = token.number!;
        return typeof number === 'bigint'
          ? { kind: 'integer', value: number, source: text, at }
          : { kind: 'float', value: number, source: text, at };
      }
      case 'left':
        this.#take();
        return this.#pipe('parenthesized pipeline', 'right');
      default:
        throw this.#unexpected(where);
    }
  }
}

/** As it stands in Go's error texts. */
export function printCommand({ args }: Command): string {
  return args.map(printOperand).join(' ');
}

export function printOperand(node: Operand): string {
  switch (node.kind) {
    case 'pipe':
      return `(${node.commands.map(printCommand).join(' | ')})`;
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'bool':
      return String(node.value);
    case 'integer':
    case 'float':
    case 'string':
      return node.source;
    case 'function':
      return node.name;
    case 'field':
      return `.${node.path.join('.')}`;
    case 'variable':
      return [node.name, ...node.path].join('.');
    case 'chain':
      return `${printOperand(node.of)}.${node.path.join('.')}`;
  }
}
