import { MAX_TOKENS, type TokenizedLine, VARIABLE } from './tokens.ts';

/** Lines that differ in their variables only. */
export interface Template {
  /** Becomes more general as lines are added. */
  readonly tokens: string[];
  readonly write: (tokens: readonly string[]) => string;
}

/** Tokens of a line that make no template: too few to tell one, or too many to be one. */
const MIN_TOKENS = 4;
/** How many tokens from the first on lead to the templates that a line is compared with. */
const MAX_DEPTH = 27;
/** Different tokens that one place of a path keeps apart. */
const MAX_CHILDREN = 15;
/** Templates made over the whole life of a tree: lines that go on making new ones have none. */
const MOST_MADE = 3_000;
/** What part of its tokens a line has to share with a template to be one of it. */
const MIN_SIMILARITY = 0.3;

interface Node {
  readonly children: Map<string, Node>;
  templates: Template[];
}

/** Finds the templates of lines, one line after the other. Lines with as many tokens and the same first tokens are compared with each other; tokens with digits
 *  count as variables on the way. Bounded: of more than `most` templates the one not seen for longest is forgotten.
 *  Source: He, Zhu, Zheng, Lyu, "Drain: An Online Log Parsing Approach with Fixed Depth Tree" (ICWS 2017); its parameters are those that Loki documents. */
export class TemplateTree {
  readonly #byLength = new Map<number, Node>();
  /** Kept ones, the least recently seen first. */
  readonly #kept = new Set<Template>();
  readonly #most: number;
  #made = 0;
  readonly #forget: (template: Template) => void;

  constructor(most: number, forget: (template: Template) => void) {
    this.#most = most;
    this.#forget = forget;
  }

  /** The template of a line, made or widened for it; undefined if it has none. */
  add({ tokens, write }: TokenizedLine): Template | undefined {
    if (tokens.length < MIN_TOKENS || tokens.length > MAX_TOKENS) return undefined;
    const known = this.#find(tokens);
    if (known !== undefined) {
      for (const [index, token] of tokens.entries()) if (known.tokens[index] !== token) known.tokens[index] = VARIABLE;
      this.#kept.delete(known);
      this.#kept.add(known);
      return known;
    }
    if (this.#made === MOST_MADE) return undefined;
    this.#made++;
    const template: Template = { tokens, write };
    const leaf = this.#leafFor(tokens);
    leaf.templates = [...leaf.templates.filter((other) => this.#kept.has(other)), template];
    this.#kept.add(template);
    if (this.#kept.size > this.#most) {
      const [oldest] = this.#kept;
      this.#kept.delete(oldest);
      this.#forget(oldest);
    }
    return template;
  }

  #find(tokens: readonly string[]): Template | undefined {
    let node = this.#byLength.get(tokens.length);
    for (let depth = 0; node !== undefined && depth < pathLength(tokens); depth++) {
      node = node.children.get(tokens[depth]) ?? node.children.get(VARIABLE);
    }
    return node === undefined ? undefined : this.#mostSimilar(node.templates, tokens);
  }

  /** Of equally similar templates the one with more variables. */
  #mostSimilar(templates: readonly Template[], tokens: readonly string[]): Template | undefined {
    let best: Template | undefined;
    let bestShared = -1;
    let bestVariables = -1;
    for (const template of templates) {
      if (!this.#kept.has(template)) continue;
      let shared = 0;
      let variables = 0;
      for (const [index, token] of template.tokens.entries()) {
        if (token === VARIABLE) variables++;
        else if (token === tokens[index]) shared++;
      }
      if (shared < bestShared || (shared === bestShared && variables <= bestVariables)) continue;
      [best, bestShared, bestVariables] = [template, shared, variables];
    }
    return bestShared / tokens.length >= MIN_SIMILARITY ? best : undefined;
  }

  #leafFor(tokens: readonly string[]): Node {
    let node = this.#byLength.get(tokens.length);
    if (node === undefined) {
      node = newNode();
      this.#byLength.set(tokens.length, node);
    }
    for (let depth = 0; depth < pathLength(tokens); depth++) {
      const key = keyIn(node, tokens[depth]);
      let child = node.children.get(key);
      if (child === undefined) {
        child = newNode();
        node.children.set(key, child);
      }
      node = child;
    }
    return node;
  }
}

const newNode = (): Node => ({ children: new Map(), templates: [] });

/** The last token does not lead on. */
function pathLength(tokens: readonly string[]): number {
  return Math.min(MAX_DEPTH, tokens.length - 1);
}

/** Under which token a new path goes on from a node: its own, or that of the variables if it has a digit or the node is full. */
function keyIn({ children }: Node, token: string): string {
  if (children.has(token)) return token;
  if (/\p{N}/u.test(token)) return VARIABLE;
  const others = children.has(VARIABLE) ? children.size : children.size + 1; // one place is the variables'
  return others < MAX_CHILDREN ? token : VARIABLE;
}
