/** Label pairs sorted by name (by UTF-8 bytes), names unique, no empty values. */
export type Labels = readonly Label[];
export type Label = readonly [name: string, value: string];

export type MatchOp = '=' | '!=' | '=~' | '!~';

/** A condition on one label; a label that is absent has the value ''. Regular expressions are RE2, anchored at both ends. */
export interface Matcher {
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
}

/** Pairs in any order to Labels: sorted, the last of equal names wins, empty values are dropped. */
export function toLabels(pairs: Iterable<Label>): Labels {
  const byName = new Map<string, string>(pairs as Iterable<[string, string]>);
  const kept = [...byName].filter(([, value]) => value !== '');
  return kept.sort(([a], [b]) => compareUtf8(a, b));
}

/** Order of the UTF-8 bytes, which is the order of code points; differs from `<` on surrogates. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  for (let index = 0; index < a.length && index < b.length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left === right) continue;
    // A surrogate stands for a code point above every other code unit.
    const [l, r] = [left, right].map((unit) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x2000 : unit >= 0xe000 ? unit - 0x800 : unit));
    return l - r;
  }
  return a.length - b.length;
}

export function labelValue(labels: Labels, name: string): string {
  for (const [key, value] of labels) if (key === name) return value;
  return '';
}

/** `{a="x", "b.c"="y"}`: the canonical text of a stream; values, and names that are no identifiers, quoted as Go's strconv.Quote does. */
export function formatLabels(labels: Labels): string {
  return `{${labels.map(([name, value]) => `${LABEL_NAME.test(name) ? name : quoteGo(name)}=${quoteGo(value)}`).join(', ')}}`;
}

/** A name that stands in label text without quotes. */
export const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** A Go string literal. Printable text stays as it is, control characters are escaped. */
export function quoteGo(text: string): string {
  return `"${text.replace(NOT_PLAIN, escapeGo)}"`;
}

const NOT_PLAIN = /["\\]|[^ -~\p{L}\p{M}\p{N}\p{P}\p{S}]/gu;
const GO_ESCAPES: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

function escapeGo(char: string): string {
  const known = GO_ESCAPES[char];
  if (known !== undefined) return known;
  const code = char.codePointAt(0)!;
  if (code >= 0xd800 && code < 0xe000) return '\ufffd'; // half a pair is no text
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}

/** One structured-metadata key over the rows of a block. Row i has values[index[i] - 1]; index 0 means the row lacks the key. */
export interface MetadataColumn {
  readonly key: string;
  /** Distinct values. */
  readonly values: readonly string[];
  readonly index: Uint8Array | Uint16Array | Uint32Array;
}

/** What is known of a block without a look at its columns. */
export interface BlockOutline {
  readonly rows: number;
  /** Row times are baseNs + times()[row]. */
  readonly baseNs: bigint;
  /** Smallest and largest value of times(). */
  readonly minOffset: number;
  readonly maxOffset: number;
  /** Sum of the line lengths. */
  readonly lineBytes: number;
  /** Sum over rows of the lengths of metadata keys and values. */
  readonly metadataBytes: number;
  /** Of the columns of metadata(). */
  metadataKeys(): readonly string[];
}

/** Rows of one stream in time order, as columns. What costs work (decompression) is behind a method and done when first asked for;
 *  what is returned is borrowed and must not be changed. Rows at the same time are in the order in which they arrived.
 *  No two rows agree in time, line and metadata. */
export interface Block extends BlockOutline {
  /** Nanoseconds after baseNs, ascending; below 2^53. */
  times(): Float64Array;
  /** End of each line in lines(), exclusive; a line starts where the one before ends. */
  ends(): Uint32Array;
  /** Every line end to end, UTF-8 as it came in. */
  lines(): Buffer;
  metadata(): readonly MetadataColumn[];
}

export type Direction = 'forward' | 'backward';
