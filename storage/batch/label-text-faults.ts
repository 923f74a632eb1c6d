import { quoteGo } from '../../logql/model.ts';

// What Prometheus' parser, whose texts Loki's clients see, says about a label text that it cannot read.

const WORD = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const NUMBER = /\d[\d.]*/y;
const STRING = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/y;
const OPERATOR = /!=|!~|=~|[-+*/%^@]/y;
const SIGN = /[{}()=,]/y;

/** The token at `at` as messages name it; undefined if none begins there. */
export function tokenAt(text: string, at: number): string | undefined {
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const operator = match(OPERATOR);
  if (operator !== undefined) return `<op:${operator}>`;
  const sign = match(SIGN);
  if (sign !== undefined) return quoteGo(sign);
  const word = match(WORD);
  if (word !== undefined) return `${word.includes(':') ? 'metric identifier' : 'identifier'} ${quoteGo(word)}`;
  const number = match(NUMBER);
  if (number !== undefined) return `number ${quoteGo(number)}`;
  const string = match(STRING);
  return string === undefined ? undefined : `string ${quoteGo(string)}`;
}

/** Digits of an escape, by the letter that begins it; octal ones have no letter. */
const DIGITS: Readonly<Record<string, { readonly count: number; readonly pattern: RegExp }>> = {
  x: { count: 2, pattern: /[0-9a-fA-F]/ },
  u: { count: 4, pattern: /[0-9a-fA-F]/ },
  U: { count: 8, pattern: /[0-9a-fA-F]/ },
};
const OCTAL = { count: 3, pattern: /[0-7]/ };
const UNTERMINATED = 'escape sequence not terminated';

/** What is wrong with the escape whose backslash stands right before `at`. */
export function escapeProblem(text: string, at: number): string {
  const first = charAt(text, at);
  if (first === '') return UNTERMINATED;
  const isOctal = OCTAL.pattern.test(first);
  const digits = isOctal ? OCTAL : DIGITS[first];
  if (digits === undefined) return `unknown escape sequence ${codePoint(first)}`;
  const from = isOctal ? at : at + 1;
  for (let place = from; place < from + digits.count; place++) {
    const char = charAt(text, place);
    if (char === '') return UNTERMINATED;
    if (!digits.pattern.test(char)) return `illegal character ${codePoint(char)} in escape sequence`;
  }
  return 'escape sequence is an invalid Unicode code point';
}

/** A Go rune literal. */
export function quoteRune(char: string): string {
  return char === '"' ? "'\"'" : char === "'" ? "'\\''" : `'${quoteGo(char).slice(1, -1)}'`;
}

/** The character at `at`; '' at the end. */
function charAt(text: string, at: number): string {
  const code = text.codePointAt(at);
  return code === undefined ? '' : String.fromCodePoint(code);
}

/** `U+0071 'q'` */
function codePoint(char: string): string {
  return `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')} '${char}'`;
}
