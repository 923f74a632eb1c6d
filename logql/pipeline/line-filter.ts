import type { LineFilter } from '../syntax/ast.ts';
import { hasIpIn } from './ip.ts';
import { requireIpRange } from './label-filter.ts';
import { matchesPattern, parseFilterPattern } from './line-pattern.ts';
import { type CompiledRegex, compileLineRegex } from './regex.ts';
import { lineStart, rowsBut, rowsContaining } from './rows.ts';

/** One term of a line filter, on one line and on a column of lines. */
interface Term {
  /** Texts that every line it matches contains. */
  readonly literals: readonly string[];
  test(bytes: Buffer, from: number, to: number): boolean;
  /** Narrows rows[0, count) in place to those that match, returns how many. */
  narrow(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number;
}

export interface CompiledLineFilter {
  /** Texts that every line it keeps contains. */
  readonly literals: readonly string[];
  test(bytes: Buffer, from: number, to: number): boolean;
  narrow(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number;
}

/** Throws Error with the reason for a bad address or pattern, Fault for a bad regular expression. */
export function compileLineFilter({ op, terms }: LineFilter): CompiledLineFilter {
  const negate = op.startsWith('!');
  // As in Loki: a term that every line matches, beside others, is none.
  const telling = terms.filter((term) => term.kind === 'ip' || !(term.text === '' || (op.endsWith('~') && term.text === '.*')));
  const compiled = (telling.length === 0 ? terms.slice(0, 1) : telling).map((term): Term => {
    if (term.kind === 'ip') {
      if (op !== '|=' && op !== '!=') throw new Error('ip: invalid operation');
      return ipTerm(term.text);
    }
    if (op === '|=' || op === '!=') return textTerm(term.text);
    return op === '|~' || op === '!~' ? regexTerm(compileLineRegex(term.text)) : patternTerm(term.text);
  });
  const term = compiled.length === 1 ? compiled[0] : anyOf(compiled);
  if (!negate) return term;
  return {
    literals: [],
    test: (bytes, from, to) => !term.test(bytes, from, to),
    narrow: (lines, ends, rows, count) => {
      const matching = rows.slice(0, count);
      const matches = term.narrow(lines, ends, matching, count);
      return rowsBut(rows, count, matching, matches, rows);
    },
  };
}

function textTerm(text: string): Term {
  const needle = Buffer.from(text);
  if (needle.length === 0) return { literals: [], test: () => true, narrow: (_lines, _ends, _rows, count) => count };
  return {
    literals: [text],
    test: (bytes, from, to) => {
      const at = bytes.subarray(from, to).indexOf(needle);
      return at >= 0;
    },
    narrow: (lines, ends, rows, count) => rowsContaining(lines, ends, rows, count, needle),
  };
}

function regexTerm(regex: CompiledRegex): Term {
  return {
    literals: regex.literals,
    test: (bytes, from, to) => regex.test(bytes, from, to),
    narrow: (lines, ends, rows, count) => regex.rowsMatching(lines, ends, rows, count),
  };
}

function patternTerm(text: string): Term {
  const pattern = parseFilterPattern(text);
  const literals = pattern.nodes.flatMap((node) => ('literal' in node ? [node.literal.toString()] : []));
  return lineByLine(literals, (bytes, from, to) => matchesPattern(pattern, bytes.subarray(from, to)));
}

function ipTerm(text: string): Term {
  const range = requireIpRange(text);
  return lineByLine([], (bytes, from, to) => hasIpIn(range, bytes, from, to));
}

/** A term that looks at each line alone, after its longest literal has selected those worth it. */
function lineByLine(literals: readonly string[], test: Term['test']): Term {
  const longest = literals.reduce((most, text) => (text.length > most.length ? text : most), '');
  const needle = longest === '' ? undefined : Buffer.from(longest);
  return {
    literals,
    test,
    narrow: (lines, ends, rows, count) => {
      const candidates = needle === undefined ? count : rowsContaining(lines, ends, rows, count, needle);
      let kept = 0;
      for (let index = 0; index < candidates; index++) {
        const row = rows[index];
        if (test(lines, lineStart(ends, row), ends[row])) rows[kept++] = row;
      }
      return kept;
    },
  };
}

function anyOf(terms: readonly Term[]): Term {
  return {
    literals: [],
    test: (bytes, from, to) => terms.some((term) => term.test(bytes, from, to)),
    narrow: (lines, ends, rows, count) => {
      // Each term looks only at what those before it left over; `rows` ends with what none of them matched.
      const open = rows.slice(0, count);
      let left = count;
      for (const term of terms) {
        const matching = open.slice(0, left);
        const matches = term.narrow(lines, ends, matching, left);
        left = rowsBut(open, left, matching, matches, open);
      }
      return rowsBut(rows, count, open, left, rows);
    },
  };
}
