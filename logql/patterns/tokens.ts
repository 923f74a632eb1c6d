import { LogfmtScanner } from '../pipeline/extract-logfmt.ts';

/** Stands in a template for what differs from line to line; what `|>` takes for anything. */
export const VARIABLE = '<_>';

/** A line as tokens, and how a template of such tokens is written. */
export interface TokenizedLine {
  readonly tokens: string[];
  readonly write: (tokens: readonly string[]) => string;
}

/** undefined for a line that makes no template. */
export type Tokenizer = (line: string) => TokenizedLine | undefined;

/** Longest line that is looked at, in UTF-16 units. */
const MAX_LINE = 3_000;
/** Beyond this a line makes no template; tokenizers may stop there. */
export const MAX_TOKENS = 80;

/** A tokenizer for lines like this one, the first of its stream. `jsonFields`: of a line in JSON only the first of these that it has is looked at. */
export function tokenizerFor(line: string, jsonFields: readonly string[]): Tokenizer {
  if (line.length >= 2 && line.startsWith('{') && line.endsWith('}')) return (text) => jsonTokens(text, jsonFields);
  return isLogfmt(line) ? logfmtTokenizer() : plainTokens;
}

/** Whether a line is nothing but `key=value`, with single spaces between. */
function isLogfmt(line: string): boolean {
  return /^(?:\w+=(?:"[^"]+"|[^"\s]\S*)(?: |$))+$/.test(line) && !line.endsWith(' ');
}

/** A token is a run of letters, digits and what names, numbers, times and paths are made of; any other mark is one by itself. */
const BOUNDARY = /[ =]|(?![_\-.:/])\p{P}/gu;

function plainTokens(line: string): TokenizedLine | undefined {
  if (line.length > MAX_LINE) return undefined;
  const tokens: string[] = [];
  const spaces: number[] = [];
  let leading = 0;
  let from = 0;
  BOUNDARY.lastIndex = 0;
  for (let match = BOUNDARY.exec(line); match !== null && tokens.length <= MAX_TOKENS; match = BOUNDARY.exec(line)) {
    if (match.index > from) tokens.push(line.slice(from, match.index));
    const [mark] = match;
    if (mark !== ' ') tokens.push(mark);
    else if (tokens.length === 0) leading++;
    else spaces[tokens.length - 1] = (spaces[tokens.length - 1] ?? 0) + 1;
    from = match.index + mark.length;
  }
  if (from < line.length) tokens.push(line.slice(from));
  const write = (template: readonly string[]): string => {
    const parts = template.map((token, index) => token + ' '.repeat(spaces[index] ?? 0));
    return withoutRepeats(' '.repeat(leading) + parts.join(''));
  };
  return { tokens, write };
}

/** Variables side by side are one. */
function withoutRepeats(template: string): string {
  return template.replace(/<_>(?:<_>)+/g, VARIABLE);
}

function jsonTokens(line: string, fields: readonly string[]): TokenizedLine | undefined {
  if (line.length > MAX_LINE * 4) return undefined;
  const text = firstText(line, fields);
  const tokenized = text === undefined ? undefined : plainTokens(text);
  if (tokenized === undefined) return undefined;
  return { tokens: tokenized.tokens, write: (template) => withoutRepeats(`${VARIABLE}${tokenized.write(template)}${VARIABLE}`) };
}

/** The first of the fields that holds text, as it stands in the line. */
function firstText(line: string, fields: readonly string[]): string | undefined {
  let object: unknown;
  try {
    object = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof object !== 'object' || object === null) return undefined;
  const field = fields.find((name) => typeof (object as Record<string, unknown>)[name] === 'string');
  return field === undefined ? undefined : JSON.stringify((object as Record<string, string>)[field]).slice(1, -1);
}

/** Keys whose values are about the entry, not about what happened. */
const VARIABLE_KEY = /^(?:ts|traceid|time|timestamp)$/i;

/** Keys and values in turn. */
function logfmtTokenizer(): Tokenizer {
  const scanner = new LogfmtScanner();
  return (line) => {
    if (line.length > MAX_LINE) return undefined;
    const bytes = Buffer.from(line);
    const tokens: string[] = [];
    scanner.start(bytes, 0, bytes.length);
    while (!scanner.done && tokens.length <= MAX_TOKENS) {
      if (scanner.next()) {
        const key = bytes.toString('utf8', scanner.keyFrom, scanner.keyTo);
        tokens.push(key, VARIABLE_KEY.test(key) || key === 't' ? VARIABLE : scanner.value());
      } else if (scanner.fault !== '') return undefined;
    }
    return { tokens, write: writeLogfmt };
  };
}

function writeLogfmt(template: readonly string[]): string {
  const pairs: string[] = [];
  for (let at = 0; at < template.length; at += 2) {
    const value = template[at + 1];
    pairs.push(`${template[at]}=${/[\s="]/.test(value) ? JSON.stringify(value) : value}`);
  }
  return withoutRepeats(pairs.join(' '));
}
