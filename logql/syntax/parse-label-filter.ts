import type { Comparison, LabelPredicate } from './ast.ts';
import type { Cursor } from './cursor.ts';
import { parseMatch } from './parse-selector.ts';
import { printSample } from './print-number.ts';
import { parseBytes, printBytes, printGoDuration } from './units.ts';

const COMPARISONS: readonly Comparison[] = ['=', '==', '!=', '>', '>=', '<', '<='];

/** Precedence as in Loki's grammar: `and` binds tighter than `or`; a comma or nothing at all also means `and`, and what stands after it,
 *  `or` included, belongs together: `a, b or c` is `a and (b or c)`. */
export function parseLabelPredicate(cursor: Cursor, lowest = 1): LabelPredicate {
  let left = parseOne(cursor);
  for (;;) {
    const { kind } = cursor.next;
    if (kind === ',' || startsPredicate(cursor)) {
      cursor.accept(',');
      left = { kind: 'and', left, right: parseLabelPredicate(cursor) };
    } else if (kind === 'and' && lowest <= 2) {
      cursor.take();
      left = { kind, left, right: parseLabelPredicate(cursor, 3) };
    } else if (kind === 'or' && lowest <= 1) {
      cursor.take();
      left = { kind, left, right: parseLabelPredicate(cursor, 2) };
    } else return left;
  }
}

export function startsPredicate(cursor: Cursor): boolean {
  return cursor.next.kind === 'IDENTIFIER' || cursor.next.kind === '(';
}

function parseOne(cursor: Cursor): LabelPredicate {
  if (cursor.accept('(')) {
    const inner = parseLabelPredicate(cursor);
    cursor.expect(')');
    return inner;
  }
  const name = cursor.expect('IDENTIFIER', ['IDENTIFIER', '(']).text;
  if (cursor.next.kind === '=~' || cursor.next.kind === '!~') return { kind: 'string', matcher: parseMatch(cursor, name) };
  if ((cursor.next.kind === '=' || cursor.next.kind === '!=') && cursor.second.kind === 'STRING') {
    return { kind: 'string', matcher: parseMatch(cursor, name) };
  }
  const op = COMPARISONS.find((candidate) => cursor.accept(candidate)) ?? cursor.fail();
  return parseOperand(cursor, name, op);
}

function parseOperand(cursor: Cursor, name: string, op: Comparison): LabelPredicate {
  if (cursor.next.kind === 'ip' && (op === '=' || op === '!=')) return { kind: 'ip', name, op, text: parseIp(cursor) };
  const sign = cursor.next.kind === '-' || cursor.next.kind === '+' ? cursor.take().kind : '';
  const { kind, value } = cursor.next;
  if (sign !== '' && kind !== 'NUMBER') cursor.fail('NUMBER');
  switch (kind) {
    case 'NUMBER': {
      cursor.take();
      const signed = sign === '-' ? -value : value;
      return { kind: 'number', name, op, value: signed, text: printSample(signed) };
    }
    case 'DURATION':
      cursor.take();
      return { kind: 'duration', name, op, valueNs: value, text: printGoDuration(value) };
    case 'BYTES': {
      // Loki prints a query on its way to queriers, which are therefore told a size as it is printed: `1KiB` as 1.0kB, which is 1000.
      cursor.take();
      const printed = printBytes(value);
      return { kind: 'bytes', name, op, value: parseBytes(printed)!, text: printed };
    }
    default:
      return cursor.fail();
  }
}

/** `ip("10.0.0.0/8")`: the pattern. */
export function parseIp(cursor: Cursor): string {
  cursor.expect('ip');
  cursor.expect('(');
  const { text } = cursor.expect('STRING');
  cursor.expect(')');
  return text;
}
