import { contains, type Ranges } from './regex-classes.ts';
import { has } from './regex-nodes.ts';
import type { Regex } from './regex-parse.ts';
import { type ByteSequence, utf8Sequences } from './utf8-ranges.ts';

/** Most ways to match from one place that a backtracking engine may have to try. */
const MOST_WAYS = 64;
const MOST_SOURCE = 16 * 1024;
const MOST_CLASSES = 200;

/** A pattern for V8 over the latin1 view of valid UTF-8, where it finds what `root` matches in time linear in the text, as it backtracks: without loops the
 *  ways to match from one place are few. undefined for a pattern that is not so simple. */
export function quickSearch(root: Regex): RegExp | undefined {
  if (has(root, (node) => node.kind === 'assert' || (node.kind === 'repeat' && node.max === Number.POSITIVE_INFINITY))) return undefined;
  if (waysOf(root) > MOST_WAYS || classesIn(root) > MOST_CLASSES) return undefined;
  const source = sourceOf(root);
  return source.length > MOST_SOURCE ? undefined : new RegExp(source, 'g');
}

function classesIn(node: Regex): number {
  if (node.kind === 'group' || node.kind === 'repeat') return classesIn(node.item);
  if (node.kind === 'concat' || node.kind === 'alternate') return node.items.reduce((sum, item) => sum + classesIn(item), 0);
  return node.kind === 'class' ? 1 : 0;
}

function waysOf(node: Regex): number {
  switch (node.kind) {
    case 'concat':
      return node.items.reduce((ways, item) => ways * waysOf(item), 1);
    case 'alternate':
      return node.items.reduce((ways, item) => ways + waysOf(item), 0);
    case 'group':
      return waysOf(node.item);
    case 'repeat': {
      const each = waysOf(node.item);
      return each === 1 ? node.max - node.min + 1 : node.max > MOST_WAYS ? Number.POSITIVE_INFINITY : (each + 1) ** node.max;
    }
    default:
      return 1;
  }
}

function sourceOf(node: Regex): string {
  switch (node.kind) {
    case 'class':
      return classSource(node.ranges);
    case 'alternate':
      return `(?:${node.items.map(sourceOf).join('|')})`;
    case 'concat':
      return node.items.map(sourceOf).join('');
    case 'group':
      return sourceOf(node.item);
    case 'repeat':
      return `(?:${sourceOf(node.item)}){${node.min},${node.max}}${node.lazy ? '?' : ''}`;
    default:
      return '';
  }
}

/** A code point of the class, as bytes. */
function classSource(ranges: Ranges): string {
  const ascii = byteSet((byte) => byte < 0x80 && contains(ranges, byte));
  const sequences = sequenceSources(utf8Sequences(ranges), 0);
  if (sequences.length === 0) return ascii;
  const branches = ascii === '[]' ? sequences : [ascii, ...sequences];
  return branches.length === 1 ? branches[0] : `(?:${branches.join('|')})`;
}

/** The bytes of `sequences` from number `depth` on, equal up to there, as few branches. */
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
