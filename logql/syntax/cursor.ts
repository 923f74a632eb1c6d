import { meaningError, positionedError, type QueryError } from '../errors.ts';
import type { Span } from './ast.ts';
import { type Token, tokenize } from './lexer.ts';

/** Parser, printer and evaluator recurse: these keep a query within what their stacks bear. */
const MAX_TOKENS = 6_000;
const MAX_DEPTH = 500;
/** Characters and ranges of classes of all patterns of a query. */
const MAX_REGEX_COST = 2_000_000;

/** Goes through the tokens of a query, one ahead. Throws QueryError with the position of what it did not want. */
export class Cursor {
  readonly text: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #regexCost = 0;

  constructor(text: string) {
    this.text = text;
    this.#tokens = tokenize(text);
    this.#limitNesting();
  }

  #limitNesting(): void {
    if (this.#tokens.length > MAX_TOKENS) {
      throw positionedError(
        this.text,
        this.#tokens[MAX_TOKENS].at,
        `query is too long, ${this.#tokens.length} of at most ${MAX_TOKENS} words`,
      );
    }
    let depth = 0;
    for (const { kind, at } of this.#tokens) {
      if (kind === '(') depth++;
      else if (kind === ')') depth--;
      if (depth > MAX_DEPTH) throw positionedError(this.text, at, `query nests deeper than ${MAX_DEPTH} parentheses`);
    }
  }

  /** Counts what a pattern at `at` costs. Throws QueryError when all patterns together are too much. */
  spendOnRegex(cost: number, at: Span): void {
    this.#regexCost += cost;
    if (this.#regexCost > MAX_REGEX_COST) {
      throw meaningError(at, `regular expressions too large: together their classes have more than ${MAX_REGEX_COST} ranges`);
    }
  }

  /** The token that comes next. */
  get next(): Token {
    return this.#tokens[this.#index];
  }
  /** The token after the next one. */
  get second(): Token {
    return this.#tokens[Math.min(this.#index + 1, this.#tokens.length - 1)];
  }
  /** Where the token last taken ended. */
  get end(): number {
    return this.#index === 0 ? 0 : this.#tokens[this.#index - 1].at.to;
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== '$end') this.#index++;
    return token;
  }
  /** Takes the next token if it is a `kind`. */
  accept(kind: string): Token | undefined {
    return this.next.kind === kind ? this.take() : undefined;
  }
  /** Takes the next token, which must be a `kind`. `expected`: what could stand here, if that is more. */
  expect(kind: string, expected: readonly string[] = [kind]): Token {
    return this.accept(kind) ?? this.fail(...expected);
  }

  /** The span from `from` to the end of the token last taken. */
  spanFrom(from: number): Span {
    return { from, to: this.end };
  }

  /** Throws: the next token must not stand here. `expected`: what could; nothing if that is too much to list. */
  fail(...expected: string[]): never {
    throw this.unexpected(expected);
  }

  unexpected(expected: readonly string[] = []): QueryError {
    const { kind, at } = this.next;
    const hint = expected.length === 0 ? '' : `, expecting ${expected.join(' or ')}`;
    return positionedError(this.text, at, `syntax error: unexpected ${kind}${hint}`);
  }
}
