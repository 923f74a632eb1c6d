/** A step into a value: a field by name, an element by number. */
export type JsonPathStep = string | number;

interface PathToken {
  readonly kind: 'DOT' | 'LSB' | 'RSB' | 'STRING' | 'FIELD' | 'INDEX' | '$end';
  readonly value: JsonPathStep;
}

/** The steps of `a.b[0]["c d"]`, read as Loki reads them: white space may stand anywhere, and a string ends at a quote or at a bracket, without any escapes.
 *  Throws Error with the reason. */
export function parseJsonPath(expression: string): JsonPathStep[] {
  try {
    return new PathParser(new PathLexer(expression)).parse();
  } catch (error) {
    throw new Error(`cannot parse expression [${expression}]: ${(error as Error).message}`, { cause: error });
  }
}

const PUNCTUATION: Readonly<Record<string, PathToken['kind']>> = { '.': 'DOT', '[': 'LSB', ']': 'RSB' };

class PathLexer {
  /** What could not be read; from there on there are no more tokens. */
  fault: string | undefined;
  readonly #chars: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#chars = [...text];
  }

  next(): PathToken {
    while (/^[ \t\n]$/.test(this.#chars[this.#at] ?? '')) this.#at++;
    const char = this.#chars[this.#at];
    if (char === undefined || char === '\0' || this.fault !== undefined) return { kind: '$end', value: '' };
    if (/\d/.test(char)) return this.#index();
    if (/[A-Za-z_]/.test(char)) return { kind: 'FIELD', value: this.#run(/[A-Za-z0-9_]/) };
    this.#at++;
    if (char === '"') {
      const value = this.#run(/[^"\]\0]/u);
      this.#at++;
      return { kind: 'STRING', value };
    }
    const kind = PUNCTUATION[char];
    return kind === undefined ? this.#fail(`unexpected char ${char}`) : { kind, value: '' };
  }

  #run(wanted: RegExp): string {
    const from = this.#at;
    while (this.#at < this.#chars.length && wanted.test(this.#chars[this.#at])) this.#at++;
    return this.#chars.slice(from, this.#at).join('');
  }

  #index(): PathToken {
    const digits = this.#run(/\d/);
    const behind = this.#chars[this.#at] ?? '\0';
    if (behind === '.') return this.#fail('cannot use float as array index');
    return /[ \t\n\]]/.test(behind) ? { kind: 'INDEX', value: Number(digits) } : this.#fail(`non-integer value: ${behind}`);
  }

  #fail(what: string): PathToken {
    this.fault = what;
    return { kind: '$end', value: '' };
  }
}

class PathParser {
  readonly #lexer: PathLexer;

  constructor(lexer: PathLexer) {
    this.#lexer = lexer;
  }

  parse(): JsonPathStep[] {
    const first = this.#expect('LSB', 'FIELD');
    const steps = [first.kind === 'FIELD' ? first.value : this.#bracketed()];
    for (;;) {
      const token = this.#lexer.next();
      if (token.kind === 'DOT') steps.push(this.#expect('FIELD').value);
      else if (token.kind === 'LSB') steps.push(this.#bracketed());
      else if (token.kind !== '$end') throw new Error(`syntax error: unexpected ${token.kind}`);
      else if (this.#lexer.fault !== undefined) throw new Error(this.#lexer.fault);
      else return steps;
    }
  }

  #bracketed(): JsonPathStep {
    const { value } = this.#expect('STRING', 'INDEX');
    this.#expect('RSB');
    return value;
  }

  #expect(...kinds: PathToken['kind'][]): PathToken {
    const token = this.#lexer.next();
    if (kinds.includes(token.kind)) return token;
    throw new Error(`syntax error: unexpected ${token.kind}, expecting ${kinds.join(' or ')}`);
  }
}
