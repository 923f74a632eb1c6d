import { quoteGo } from '../../logql/model.ts';

/** Random LogQL queries, the same for the same seed: every construct of the language, loosely spaced, with parentheses now and then. */
export class QueryGenerator {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 0x9e3779b1;
  }

  /** A whole number in [0, below). */
  int(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.int(items.length)];
  }
  #maybe(text: () => string): string {
    return this.int(2) === 0 ? '' : text();
  }
  #list(most: number, item: () => string): string {
    return Array.from({ length: 1 + this.int(most) }, item).join(this.pick([',', ', ']));
  }

  query(): string {
    return this.int(3) === 0 ? this.log() : this.metric(3);
  }

  log(): string {
    const whole = [this.selector(), ...this.stages(5)].join(this.pick([' ', '  ', '\n', '\t', ' # note\n']));
    return this.int(12) === 0 ? `(${whole})` : whole;
  }

  /** Fewer than `below` stages. */
  stages(below: number): string[] {
    const stages: string[] = [];
    for (let left = this.int(below); left > 0; left--) {
      const stage = this.stage();
      // A bare name at the end of a list would take a negative line filter for its matcher.
      const isTaken = /^\| (?:drop|keep)/.test(stages.at(-1) ?? '') && /^![=~]/.test(stage);
      stages.push(isTaken ? `| json ${stage}` : stage);
    }
    return stages;
  }

  name(): string {
    if (this.int(60) === 0) return this.pick(['sort', 'vector', 'Größe']);
    return this.pick(['app', 'level', 'x1', '_y', 'count', 'bytes', 'duration', 'ip', 'rate', '__error__']);
  }
  string(): string {
    const text = this.pick([
      '',
      'x',
      'a b',
      'say "hi"',
      'back\\slash',
      'tab\t',
      'é🦊',
      'new\nline',
      '{{.app}}',
      'null\0',
      '{{ .x1 | printf "%-5s" }}',
      '# no note',
      '\x7f\u2028',
      'ß'.repeat(40),
    ]);
    return text.includes('`') || text.includes('\r') || this.int(2) === 0 ? quoteGo(text) : `\`${text}\``;
  }
  pattern(): string {
    return this.pick(['"a|b"', '`x.*`', '"[0-9]+"', '"(?i)y"', '`\\d{1,3}`', '"^a\\\\.b$"', '`(?P<n>\\S+) "q"`', '".+"', '"é|🦊"']);
  }
  selector(): string {
    const more = Array.from({ length: this.int(3) }, () => this.matcher());
    return `{${['app="x"', ...more].join(this.pick([',', ' , ']))}}`;
  }
  matcher(): string {
    const regex = this.int(2) === 0;
    return `${this.name()}${this.pick(regex ? ['=~', ' !~ '] : ['=', '!='])}${regex ? this.pattern() : this.string()}`;
  }

  stage(): string {
    switch (this.int(14)) {
      case 0:
        return `${this.pick(['|=', '!='])} ${this.#terms(() => (this.int(4) === 0 ? 'ip("10.0.0.0/8")' : this.string()))}`;
      case 1:
        return `${this.pick(['|~', '!~'])}${this.#terms(() => this.pattern())}`;
      case 2:
        return `${this.pick(['|>', '!>'])} ${this.#terms(() => this.pick(['"<_>x<_>"', '`a <_> b`', '"<_> é <_>"']))}`;
      case 3:
        return `| json ${this.#maybe(() => this.#extractions(['"a.b[0]"', '`["a b"].c`', '"x"']))}`;
      case 4:
        return `| logfmt ${this.#maybe(() => '--strict ')}${this.#maybe(() => '--keep-empty ')}${this.#maybe(() => this.#extractions(['"k"', '`_k`']))}`;
      case 5:
        return this.pick(['| regexp "(?P<n>x)"', '| regexp `(?P<a>\\S+) (?P<b>.*)`', '| pattern "<n> <_>"', '| pattern `<a> [<b>] "<c>"`']);
      case 6:
        return this.pick(['| unpack', '| decolorize']);
      case 7:
        return `| line_format ${this.string()}`;
      case 8:
        return `| label_format ${this.#list(3, () => `${this.name()}=${this.int(2) ? this.name() : this.string()}`)}`;
      case 9:
        return `| ${this.pick(['drop', 'keep'])} ${this.#list(3, () => (this.int(2) ? this.name() : this.matcher()))}`;
      default:
        return `| ${this.predicate(2)}`;
    }
  }

  #terms(term: () => string): string {
    return Array.from({ length: 1 + (this.int(2) === 0 ? 0 : this.int(3)) }, term).join(' or ');
  }
  #extractions(expressions: readonly string[]): string {
    return this.#list(3, () => `${this.name()}${this.#maybe(() => `=${this.pick(expressions)}`)}`);
  }

  predicate(depth: number): string {
    if (depth > 0 && this.int(2) === 0) {
      const joined = `${this.predicate(depth - 1)}${this.int(12) === 0 ? ' ' : this.pick([' and ', ' or ', ', '])}${this.predicate(depth - 1)}`;
      return this.int(3) === 0 ? `(${joined})` : joined;
    }
    const comparison = this.pick(['=', '==', '!=', '>', '>=', '<', '<=']);
    switch (this.int(5)) {
      case 0:
        return `${this.name()} ${comparison} ${this.pick(['5', '-1.5', '1e3', '0.25', '1e-7', '+2', '.5', '1E+2', '007', '18446744073709551616'])}`;
      case 1:
        return `${this.name()}${comparison}${this.pick(['5m', '1h30m', '250ms', '1.5s', '3d', '10us', '10µs', '1w', '1y', '1h0.5m', '100ns'])}`;
      case 2:
        return `${this.name()}${comparison}${this.pick(['5B', '10KB', '10kB', '1.5MiB', '1234K', '2G', '1PB', '3TiB', '20MB'])}`;
      case 3:
        return `${this.name()} ${this.pick(['=', '!='])} ip(${this.pick(['"::1"', '"10.0.0.1-10.0.0.9"', '`192.168.4.5/16`'])})`;
      default:
        return this.matcher();
    }
  }

  range(unwrapped: boolean): string {
    const window = `[${this.pick(['5m', '90s', '1h30m', '1w', '250ms', '1d12h', '1y'])}]${this.#maybe(() => ` offset ${this.pick(['5m', '-1h', '1d', '1h30m', '1.5s'])}`)}`;
    const filters = (): string => Array.from({ length: this.int(3) }, () => ` | ${this.predicate(1)}`).join('');
    const unwrap = unwrapped ? ` | unwrap ${this.pick(['x', 'bytes(x)', 'duration(y)', 'duration_seconds(z)'])}${filters()}` : '';
    if (this.int(4) === 0) return `${this.selector()}${window} ${this.stages(3).join(' ')}${unwrap}`;
    const whole = `${this.log()}${unwrap} ${window}`;
    return this.int(5) === 0 ? `(${whole})` : whole;
  }

  grouping(): string {
    return ` ${this.pick(['by', 'without'])} (${this.#maybe(() => this.#list(3, () => this.name()))}) `;
  }

  metric(depth: number): string {
    switch (depth === 0 ? this.int(3) : this.int(8)) {
      case 0:
        return `${this.pick(['rate', 'count_over_time', 'bytes_rate', 'bytes_over_time', 'absent_over_time'].map((name) => (this.int(40) === 0 ? name.toUpperCase() : name)))}(${this.range(false)})`;
      case 1: {
        const op = this.pick([
          'avg_over_time',
          'min_over_time',
          'max_over_time',
          'stddev_over_time',
          'stdvar_over_time',
          'first_over_time',
          'last_over_time',
        ]);
        return `${op}(${this.range(true)})${this.#maybe(() => this.grouping())}`;
      }
      case 2:
        return this.pick([
          () => `quantile_over_time(${this.pick(['0.5', '0.999', '1.5', '.99', '0', '1e-2'])},${this.range(true)})`,
          () => `${this.pick(['sum_over_time', 'rate', 'rate_counter', 'absent_over_time'])}(${this.range(true)})`,
          () => `vector(${this.pick(['1', '0.5', '1e-9', '1234567.25'])})`,
          () => this.pick(['1', '-2.5', '1e21', '1 / 0', '0 / 0', '+3', '2 ^ 3 ^ 2', '7 % 4', '1 > bool 2']),
        ])();
      case 3:
      case 4: {
        const op = this.pick(['sum', 'avg', 'count', 'max', 'min', 'stddev', 'stdvar']);
        const inner = `(${this.metric(depth - 1)})`;
        return this.pick([() => op + inner, () => op + this.grouping() + inner, () => op + inner + this.grouping()])();
      }
      case 5:
        return this.pick([
          () => `${this.pick(['topk', 'bottomk'])}${this.#maybe(() => this.grouping())}(${1 + this.int(9)}, ${this.metric(depth - 1)})`,
          () => `${this.pick(['sort', 'sort_desc'])}(${this.metric(depth - 1)})`,
          () => `approx_topk(${1 + this.int(9)}, ${this.metric(depth - 1)})`,
          () => `label_replace(${this.metric(depth - 1)}, ${this.string()}, ${this.string()}, ${this.string()}, ${this.pattern()})`,
        ])();
      default:
        return this.binary(depth);
    }
  }

  binary(depth: number): string {
    const setOp = this.int(4) === 0;
    const op = this.pick(setOp ? ['and', 'or', 'unless'] : ['+', '-', '*', '/', '%', '^', '==', '!=', '>', '>=', '<', '<=']);
    const group = setOp
      ? ''
      : this.#maybe(() => ` ${this.pick(['group_left', 'group_right'])}${this.#maybe(() => `(${this.#maybe(() => this.name())})`)}`);
    const matching = this.#maybe(
      () => ` ${this.pick(['on', 'ignoring'])} (${this.#maybe(() => this.#list(2, () => this.name()))})${group}`,
    );
    const modifiers = `${this.#maybe(() => ' bool')}${matching}`;
    // A literal is no operand of a set operator, also when folding makes it.
    const operand = (): string => (setOp ? `sum(${this.metric(depth - 1)})` : this.metric(depth - 1));
    const whole = `${operand()} ${op}${modifiers} ${operand()}`;
    return this.int(2) === 0 ? `(${whole})` : whole;
  }
}
