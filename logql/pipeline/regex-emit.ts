import { Fault } from '../../ops/base/fault.ts';
import type { Ranges } from './regex-classes.ts';
import { contains } from './regex-classes.ts';
import { EMPTY, type Regex } from './regex-parse.ts';
import { type ByteSequence, holdsAllNonAscii, utf8Sequences } from './utf8-ranges.ts';

const MAX_EXPANSION = 2000;
const MAX_SOURCE = 64 * 1024;
const REPLACEMENT = 0xfffd;

/** A pattern for the latin1 view of valid UTF-8, free of everything that V8's linear engine refuses: flags, counts, look-around. */
export interface EmittedRegex {
  readonly source: string;
  /** How to turn the strings of a match into byte ranges: alternatives, as in Piece; empty unless captures were asked for. */
  readonly inside: readonly (readonly Piece[])[];
}

/** A capturing group of the emitted pattern. Pieces cover their parent without gaps, so that offsets follow from lengths: asking
 *  V8 for them (flag `d`) would cost the linear engine. */
export interface Piece {
  /** Number of the emitted group. */
  readonly emitted: number;
  /** Number of the group in the user's pattern, -1 for filling. */
  readonly group: number;
  /** Alternatives, each a sequence of pieces; at most one of them took part in a match. */
  readonly inside: readonly (readonly Piece[])[];
}

/** Why the pattern cannot be emitted soundly; it has to run elsewhere. */
export type Unsound = 'not_word' | 'lines' | 'size' | 'loops';

/** Emits `root` for a yes or no. */
export function emitTest(root: Regex): EmittedRegex | Unsound {
  // \B would hold within a UTF-8 sequence; V8's multiline anchors also stop at a carriage return.
  if (has(root, (node) => node.kind === 'assert' && node.what === 'not_word')) return 'not_word';
  if (has(root, (node) => node.kind === 'assert' && (node.what === 'line_start' || node.what === 'line_end'))) return 'lines';
  const source = new Emitter().plain(expand(root), true);
  return source.length > MAX_SOURCE ? 'size' : { source, inside: [] };
}

/** Emits `root` so that its captures can be located. */
export function emitCaptures(root: Regex): EmittedRegex | Unsound {
  // A repetition in JavaScript forgets captures at each turn and refuses an optional empty turn; RE2 does neither.
  if (has(root, (node) => node.kind === 'repeat' && (isNullable(node.item) || (node.max > 1 && hasGroup(node.item))))) return 'loops';
  const test = emitTest(root);
  if (typeof test === 'string') return test;
  const emitter = new Emitter();
  const { source, inside } = emitter.located(expand(root), true);
  return source.length > MAX_SOURCE ? 'size' : { source, inside };
}

export function has(node: Regex, wanted: (node: Regex) => boolean): boolean {
  if (wanted(node)) return true;
  if (node.kind === 'group' || node.kind === 'repeat') return has(node.item, wanted);
  return (node.kind === 'concat' || node.kind === 'alternate') && node.items.some((item) => has(item, wanted));
}

export const hasGroup = (node: Regex): boolean => has(node, ({ kind }) => kind === 'group');
export const hasAssertion = (node: Regex): boolean => has(node, ({ kind }) => kind === 'assert');

/** Whether it can match without taking a byte. */
export function isNullable(node: Regex): boolean {
  switch (node.kind) {
    case 'class':
      return false;
    case 'assert':
      return true;
    case 'group':
      return isNullable(node.item);
    case 'repeat':
      return node.min === 0 || isNullable(node.item);
    case 'concat':
      return node.items.every(isNullable);
    case 'alternate':
      return node.items.some(isNullable);
  }
}

/** Whether a byte that is not UTF-8, which RE2 reads as U+FFFD, could take part in a match. */
export function seesInvalid(node: Regex): boolean {
  return has(node, (inner) => inner.kind === 'class' && contains(inner.ranges, REPLACEMENT));
}

/** Rewrites counts as copies: V8's linear engine refuses counts whose product is above 16. */
function expand(root: Regex): Regex {
  let copied = 0;
  const walk = (node: Regex): Regex => {
    if (node.kind === 'concat' || node.kind === 'alternate') return { ...node, items: node.items.map(walk) };
    if (node.kind === 'group') return { ...node, item: walk(node.item) };
    if (node.kind !== 'repeat') return node;
    const item = walk(node.item);
    const { min, max, lazy } = node;
    if (max === 0) return EMPTY;
    if (min <= 1 && (max === Number.POSITIVE_INFINITY || max === 1)) return min === 1 && max === 1 ? item : { ...node, item };
    copied += size(item) * (max === Number.POSITIVE_INFINITY ? min : max);
    if (copied > MAX_EXPANSION) {
      throw new Fault('limit_exceeded', `regular expression too large: its repetitions expand to more than ${MAX_EXPANSION} nodes`);
    }
    const items: Regex[] = new Array<Regex>(max === Number.POSITIVE_INFINITY ? Math.max(min - 1, 0) : min).fill(item);
    if (max === Number.POSITIVE_INFINITY) items.push({ kind: 'repeat', item, min: 1, max, lazy });
    else {
      let rest: Regex = EMPTY;
      for (let count = min; count < max; count++) {
        const more: Regex = rest === EMPTY ? item : { kind: 'concat', items: [item, rest] };
        rest = { kind: 'repeat', item: more, min: 0, max: 1, lazy };
      }
      if (rest !== EMPTY) items.push(rest);
    }
    return items.length === 1 ? items[0] : { kind: 'concat', items };
  };
  return walk(root);
}

function size(node: Regex): number {
  if (node.kind === 'group' || node.kind === 'repeat') return 1 + size(node.item);
  if (node.kind === 'concat' || node.kind === 'alternate') return node.items.reduce((sum, item) => sum + size(item), 1);
  return 1;
}

const isStar = (node: Regex): boolean => node.kind === 'repeat' && node.max === Number.POSITIVE_INFINITY;

/** Whether a match of it takes a byte or asserts a place, and can begin only where a UTF-8 sequence begins. */
function startsAligned(node: Regex): boolean {
  switch (node.kind) {
    case 'class':
      return true;
    case 'assert':
      return node.what === 'text_end' || node.what === 'word';
    case 'group':
      return startsAligned(node.item);
    case 'repeat':
      return node.min > 0 && startsAligned(node.item);
    case 'concat':
      return node.items.length > 0 && startsAligned(node.items[0]);
    case 'alternate':
      return node.items.every(startsAligned);
  }
}

/** `aligned`: what comes after the node begins at a UTF-8 sequence, so that a star in front of it may run over bytes. */
class Emitter {
  #groups = 0;

  plain(node: Regex, aligned: boolean): string {
    switch (node.kind) {
      case 'class':
        return classSource(node.ranges);
      case 'assert':
        return node.what === 'text_start' ? '^' : node.what === 'text_end' ? '$' : '\\b';
      case 'group':
        return this.plain(node.item, aligned);
      case 'alternate':
        return `(?:${node.items.map((item) => this.plain(item, aligned)).join('|')})`;
      case 'concat':
        return node.items.map((item, index) => this.plain(item, alignedAfter(node.items, index, aligned))).join('');
      case 'repeat':
        return this.#repeat(node, aligned);
    }
  }

  #repeat(node: Extract<Regex, { kind: 'repeat' }>, aligned: boolean): string {
    const { item, min, lazy } = node;
    const lazily = lazy ? '?' : '';
    if (isStar(node) && item.kind === 'class' && holdsAllNonAscii(item.ranges) && aligned) {
      const star = `${byteSet((byte) => byte > 0x7f || contains(item.ranges, byte))}*${lazily}`;
      return min === 0 ? star : classSource(item.ranges) + star;
    }
    const inner = this.plain(item, isStar(node) ? aligned && startsAligned(item) : aligned);
    const operator = isStar(node) ? (min === 0 ? '*' : '+') : '?';
    return `${isAtom(inner) ? inner : `(?:${inner})`}${operator}${lazily}`;
  }

  /** Emits a node whose captures are wanted, and the pieces of its text. */
  located(node: Regex, aligned: boolean): { source: string; inside: Piece[][] } {
    if (!hasGroup(node)) return { source: this.plain(node, aligned), inside: [] };
    switch (node.kind) {
      case 'concat': {
        const pieces: Piece[] = [];
        const sources = node.items.map((item, index) => {
          const { source, piece } = this.#piece(item, alignedAfter(node.items, index, aligned));
          pieces.push(piece);
          return source;
        });
        return { source: sources.join(''), inside: [pieces] };
      }
      case 'alternate': {
        const branches = node.items.map((item) => this.located(group0(item), aligned));
        return { source: `(?:${branches.map(({ source }) => source).join('|')})`, inside: branches.flatMap(({ inside }) => inside) };
      }
      default: {
        const { source, piece } = this.#piece(node, aligned);
        return { source, inside: [[piece]] };
      }
    }
  }

  #piece(node: Regex, aligned: boolean): { source: string; piece: Piece } {
    const emitted = ++this.#groups;
    const isGroup = node.kind === 'group' && node.index >= 0;
    const group = isGroup ? node.index : -1;
    if (node.kind === 'repeat' && hasGroup(node)) {
      const { source, inside } = this.located(node.item, aligned);
      return { source: `((?:${source})?${node.lazy ? '?' : ''})`, piece: { emitted, group, inside } };
    }
    const { source, inside } = this.located(node.kind === 'group' ? node.item : node, aligned);
    return { source: `(${source})`, piece: { emitted, group, inside } };
  }
}

/** Gives an alternative without captures a piece of its own, so that its text counts. */
function group0(node: Regex): Regex {
  return hasGroup(node) ? node : { kind: 'group', index: -1, name: '', item: node };
}

function alignedAfter(items: readonly Regex[], index: number, aligned: boolean): boolean {
  return index + 1 === items.length ? aligned : startsAligned(items[index + 1]);
}

const isAtom = (source: string): boolean => /^(?:\\x..|\\?[^\\[(]|\[(?:[^\]\\]|\\x..)*\])$/.test(source);

/** A code point of the class, as bytes. */
function classSource(ranges: Ranges): string {
  const ascii = byteSet((byte) => byte < 0x80 && contains(ranges, byte));
  const sequences = sequenceSources(utf8Sequences(ranges), 0);
  if (sequences.length === 0) return ascii;
  const branches = ascii === '[]' ? sequences : [ascii, ...sequences];
  return branches.length === 1 ? branches[0] : `(?:${branches.join('|')})`;
}

/** The bytes of `sequences` from number `depth` on, equal up to there, as few branches: the linear engine looks at each at every byte. */
function sequenceSources(sequences: readonly ByteSequence[], depth: number): string[] {
  const headsByTail = new Map<string, ByteSequence[]>();
  const add = (tail: string, heads: readonly ByteSequence[]) => headsByTail.set(tail, [...(headsByTail.get(tail) ?? []), ...heads]);
  for (let from = 0; from < sequences.length; ) {
    const first = sequences[from];
    let to = from + 1;
    while (to < sequences.length && sequences[to][depth * 2] === first[depth * 2] && sequences[to][depth * 2 + 1] === first[depth * 2 + 1])
      to++;
    if (first.length === (depth + 1) * 2) add('', sequences.slice(from, to));
    else {
      const tails = sequenceSources(sequences.slice(from, to), depth + 1);
      add(tails.length === 1 ? tails[0] : `(?:${tails.join('|')})`, [first]);
    }
    from = to;
  }
  return [...headsByTail].map(([tail, heads]) => {
    const isHead = (byte: number) => heads.some((head) => byte >= head[depth * 2] && byte <= head[depth * 2 + 1]);
    return byteSet(isHead) + tail;
  });
}

const byteSource = (byte: number): string => {
  const char = String.fromCharCode(byte);
  return /[0-9A-Za-z_ ]/.test(char) ? char : `\\x${byte.toString(16).padStart(2, '0')}`;
};

/** A class of bytes: one byte itself, `[…]`, or `[^…]` if that is shorter; `[]` matches nothing. */
function byteSet(member: (byte: number) => boolean): string {
  const inside = byteRanges(member);
  if (inside.length === 1 && inside[0][0] === inside[0][1]) return byteSource(inside[0][0]);
  const outside = byteRanges((byte) => !member(byte));
  const text = (ranges: [number, number][]) =>
    ranges.map(([lo, hi]) => (lo === hi ? byteSource(lo) : `${byteSource(lo)}-${byteSource(hi)}`)).join('');
  return outside.length < inside.length ? `[^${text(outside)}]` : `[${text(inside)}]`;
}

function byteRanges(member: (byte: number) => boolean): [number, number][] {
  const out: [number, number][] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (!member(byte)) continue;
    const last = out.at(-1);
    if (last !== undefined && last[1] === byte - 1) last[1] = byte;
    else out.push([byte, byte]);
  }
  return out;
}
