export interface Token {
  readonly kind:
    | 'text'
    | 'open'
    | 'close'
    | 'word'
    | 'keyword'
    | 'dot'
    | 'field'
    | 'variable'
    | 'string'
    | 'number'
    | 'left'
    | 'right'
    | 'pipe'
    | 'comma'
    | 'declare'
    | 'assign'
    | 'end';
  /** As it stands in the template. */
  readonly text: string;
  readonly at: number;
  /** White space stands before it. */
  readonly spaced: boolean;
  /** Of a string: what it means. */
  readonly value?: string;
  /** Of a number: bigint without fraction and exponent. */
  readonly number?: bigint | number;
}

const KEYWORDS = new Set(['if', 'else', 'end', 'range', 'with', 'define', 'template', 'block', 'break', 'continue']);
const TOKEN =
  /(?<space>[ \t\r\n]+)|(?<close>\}\})|(?<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)|(?<char>'(?:[^'\\\n]|\\[^\n]+?)')|(?<number>[-+]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?))|(?<variable>\$\w*)|(?<field>\.\w+)|(?<word>\w+)|(?<declare>:=)|(?<punctuation>[.()|,=])/y;
const PUNCTUATION: Readonly<Record<string, Token['kind']>> = {
  '.': 'dot',
  '(': 'left',
  ')': 'right',
  '|': 'pipe',
  ',': 'comma',
  '=': 'assign',
};

/** Splits a template into text and the tokens of its actions. `fail` makes the error for what is wrong at a place. */
export function lexTemplate(text: string, fail: (at: number, what: string) => Error): Token[] {
  const tokens: Token[] = [];
  let done = 0;
  let trimLeft = false;
  for (;;) {
    const open = text.indexOf('{{', done);
    const trims = open >= 0 && /^-[ \t\r\n]/.test(text.slice(open + 2, open + 4));
    let plain = text.slice(done, open < 0 ? text.length : open);
    if (trimLeft) plain = plain.replace(/^[ \t\r\n]+/, '');
    if (trims) plain = plain.replace(/[ \t\r\n]+$/, '');
    if (plain !== '') tokens.push({ kind: 'text', text: plain, at: done, spaced: false });
    if (open < 0) break;
    const inside = trims ? open + 4 : open + 2;
    const comment = text.startsWith('/*', inside);
    done = comment ? commentEnd(text, inside, fail) : lexAction(text, open, inside, tokens, fail);
    trimLeft = text[done - 3] === '-' && /[ \t\r\n/]/.test(text[done - 4]);
  }
  tokens.push({ kind: 'end', text: '', at: text.length, spaced: false });
  return tokens;
}

function commentEnd(text: string, from: number, fail: (at: number, what: string) => Error): number {
  const end = text.indexOf('*/', from);
  if (end < 0) throw fail(from, 'unclosed comment');
  const close = /^(?:[ \t\r\n]+-)?\}\}/.exec(text.slice(end + 2));
  if (close === null) throw fail(from, 'comment ends before closing delimiter');
  return end + 2 + close[0].length;
}

/** Lexes an action up to its `}}`; returns where that ends. */
function lexAction(text: string, open: number, from: number, tokens: Token[], fail: (at: number, what: string) => Error): number {
  tokens.push({ kind: 'open', text: '{{', at: open, spaced: false });
  let spaced = false;
  let depth = 0;
  for (let at = from; ; ) {
    if (spaced && text.startsWith('-}}', at)) {
      if (depth > 0) throw fail(at, 'unclosed left paren');
      tokens.push({ kind: 'close', text: '}}', at, spaced });
      return at + 3;
    }
    if (at >= text.length) throw fail(open, depth > 0 ? 'unclosed left paren' : 'unclosed action');
    TOKEN.lastIndex = at;
    const groups = TOKEN.exec(text)?.groups;
    if (groups === undefined) throw fail(at, badToken(text, at));
    const length = TOKEN.lastIndex - at;
    const source = text.slice(at, at + length);
    if (groups.space !== undefined) {
      spaced = true;
      at += length;
      continue;
    }
    if (source === '(') depth++;
    if (source === ')' && --depth < 0) throw fail(at, 'unexpected right paren');
    if (groups.close !== undefined && depth > 0) throw fail(at, 'unclosed left paren');
    tokens.push(makeToken(groups, source, at, spaced, fail));
    at += length;
    if (groups.close !== undefined) return at;
    spaced = false;
  }
}

function badToken(text: string, at: number): string {
  if (text[at] === '"') return 'unterminated quoted string';
  if (text[at] === '`') return 'unterminated raw quoted string';
  if (text[at] === "'") return 'unterminated character constant';
  return `unexpected ${JSON.stringify(text[at])} in command`;
}

function makeToken(
  groups: Record<string, string | undefined>,
  text: string,
  at: number,
  spaced: boolean,
  fail: (at: number, what: string) => Error,
): Token {
  const token = { text, at, spaced };
  if (groups.close !== undefined) return { ...token, kind: 'close' };
  if (groups.declare !== undefined) return { ...token, kind: 'declare' };
  if (groups.variable !== undefined) return { ...token, kind: 'variable' };
  if (groups.field !== undefined) return { ...token, kind: 'field' };
  if (groups.word !== undefined) return { ...token, kind: KEYWORDS.has(text) ? 'keyword' : 'word' };
  if (groups.punctuation !== undefined) return { ...token, kind: PUNCTUATION[text] };
  if (groups.number !== undefined) {
    const digits = text.replaceAll('_', '');
    const integer = /^([-+]?)(0[xXbBoO]\w+|\d+)$/.exec(digits);
    if (integer === null) return { ...token, kind: 'number', number: Number(digits) };
    const octal = /^0[0-7]+$/.test(integer[2]) ? `0o${integer[2].slice(1)}` : integer[2];
    const value = BigInt(octal);
    return { ...token, kind: 'number', number: integer[1] === '-' ? -value : value };
  }
  const value = text.startsWith('`') ? text.slice(1, -1) : unquoteGo(text.slice(1, -1));
  if (value === undefined) throw fail(at, `invalid syntax: ${text}`);
  if (groups.char === undefined) return { ...token, kind: 'string', value };
  return { ...token, kind: 'number', number: BigInt(Buffer.from(value, 'latin1').toString().codePointAt(0)!) };
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
};

/** Go's escapes in a byte string; undefined if one is wrong. */
function unquoteGo(text: string): string | undefined {
  let wrong = false;
  const out = text.replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{3}|[\s\S])/g, (_, written: string) => {
    if (/^x../.test(written)) return String.fromCharCode(Number.parseInt(written.slice(1), 16));
    if (/^[0-7]{3}/.test(written)) return String.fromCharCode(Number.parseInt(written, 8) & 0xff);
    const code = /^[uU]../.test(written) ? Number.parseInt(written.slice(1), 16) : undefined;
    if (code !== undefined && code <= 0x10ffff) return Buffer.from(String.fromCodePoint(code)).toString('latin1');
    wrong ||= ESCAPES[written] === undefined;
    return ESCAPES[written] ?? '';
  });
  return wrong ? undefined : out;
}
