/** Everything that is wrong with what was given, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

interface Finding {
  readonly text: string;
  readonly unsupported: boolean;
}

/** What is found to be wrong while options are read, in that order. */
export class Findings {
  readonly #found: Finding[] = [];

  problem(where: string, what: string): void {
    this.#found.push({ text: `${where}: ${what}`, unsupported: false });
  }

  /** `what` means something to Loki, and nothing here. */
  unsupported(what: string): void {
    this.#found.push({ text: `${what} is an option of Loki that is not supported here`, unsupported: true });
  }

  /** `later`, after what was found so far. */
  append(later: Findings): void {
    this.#found.push(...later.#found);
  }

  /** What is to be warned of and no more: the unsupported, if that is allowed. Throws ConfigError of all else. */
  settle(allowUnsupported: boolean): readonly string[] {
    const texts = (found: readonly Finding[]): string[] => found.map(({ text }) => text);
    const refused = this.#found.filter(({ unsupported }) => !(unsupported && allowUnsupported));
    if (refused.length === 0) return texts(this.#found);
    const hint = refused.some(({ unsupported }) => unsupported)
      ? ['with -config.allow-unsupported, options that are not supported here are ignored with a warning each']
      : [];
    throw new ConfigError([...texts(refused), ...hint]);
  }
}
