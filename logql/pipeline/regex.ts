import { isUtf8 } from 'node:buffer';
import type { Matcher } from '../model.ts';
import { foldCase, negate, sameInLowerCase } from './regex-classes.ts';
import { type EmittedRegex, emitCaptures, emitTest, hasAssertion, isNullable, type Piece, seesInvalid } from './regex-emit.ts';
import { linearEngineWorks } from './regex-linear.ts';
import { exactText, exactTexts, requiredTexts } from './regex-literals.ts';
import { parseRegex, type Regex } from './regex-parse.ts';
import { Re2jsRegex } from './regex-re2js.ts';
import { lineStart, rowsContaining } from './rows.ts';
import { type RepairedLine, repairUtf8 } from './utf8-repair.ts';

/** V8 gives up its fast engine after 50,000 backtracks of one call, so a call must not see much at once. */
const SLICE = 16 * 1024;

/** Throws Fault parse_error, with the text that Go's regexp gives, unless `pattern` is RE2 syntax. */
export function validateRegex(pattern: string): void {
  parseRegex(pattern);
}

/** Names of a pattern's groups by number, '' for one without; [0] is the whole match. Throws as `validateRegex`. */
export function groupNames(pattern: string): readonly string[] {
  return parseRegex(pattern).names;
}

export interface RegexOptions {
  /** Must match all of the text. */
  readonly anchored: boolean;
  /** `.` matches a newline. */
  readonly dotNewline: boolean;
}

/** A pattern in RE2 syntax over UTF-8 bytes, in time linear in the text. A byte that is not UTF-8 counts as U+FFFD. */
export interface CompiledRegex {
  /** By group number; '' for a group without a name. [0] is the whole match. */
  readonly names: readonly string[];
  /** Texts that every match contains. */
  readonly literals: readonly string[];
  test(bytes: Buffer, from: number, to: number): boolean;
  /** Pairs of offsets from `from` for each group, -1 where it took no part; undefined without a match. */
  captures(bytes: Buffer, from: number, to: number): Int32Array | undefined;
  /** Captures of every match from left to right, as Go finds them: none overlap, and an empty match right behind another is none. */
  allCaptures(bytes: Buffer): Iterable<Int32Array>;
  /** Narrows rows[0, count) in place to those whose line matches, returns how many. `lines`: every line end to end. */
  rowsMatching(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number;
}

/** Throws Fault parse_error for what is not RE2 syntax, limit_exceeded where repetitions expand too far. */
export function compileRegex(pattern: string, options: RegexOptions): CompiledRegex {
  const { root, names } = parseRegex(pattern, options);
  return new Regexp(pattern, options.anchored ? anchor(root) : root, names, options);
}

/** The pattern of a line filter. What is but a text without regard to case is compared in lower case, as Loki does: `ς` is not `σ` then. */
export function compileLineRegex(pattern: string): CompiledRegex {
  const options: RegexOptions = { anchored: false, dotNewline: false };
  const texts = /^\(\?i\)\(?([^\\.*+?()[\]{}^$]+)\)?$/.exec(pattern)?.[1].split('|');
  if (texts === undefined) {
    const searches = searchesFor(parseRegex(pattern).root) ?? [];
    const telling = searches.filter(({ letters }) => letters.length > 0);
    return telling.length === 0 || telling.length === searches.length
      ? compileRegex(pattern, options)
      : searchRegex(pattern, telling, false);
  }
  const branches = texts.map((text): Regex => {
    const items = [...text].map((char): Regex => ({ kind: 'class', ranges: sameInLowerCase(char.codePointAt(0)!) }));
    return { kind: 'concat', items };
  });
  return new Regexp(pattern, branches.length === 1 ? branches[0] : { kind: 'alternate', items: branches }, [''], options);
}

function anchor(item: Regex): Regex {
  return { kind: 'concat', items: [{ kind: 'assert', what: 'text_start' }, item, { kind: 'assert', what: 'text_end' }] };
}

/** Drops what a match can do without at either end: whether `.*x.*` matches is whether x does. */
function stripEnds(root: Regex): Regex {
  if (root.kind === 'group') return stripEnds(root.item);
  if (root.kind !== 'concat') return root;
  const idle = (item: Regex) => isNullable(item) && !hasAssertion(item);
  let from = 0;
  let to = root.items.length;
  while (from < to && idle(root.items[from])) from++;
  while (to > from && idle(root.items[to - 1])) to--;
  const items = root.items.slice(from, to);
  return items.length === 1 ? stripEnds(items[0]) : { kind: 'concat', items };
}

class Regexp implements CompiledRegex {
  readonly names: readonly string[];
  readonly literals: readonly string[];
  readonly #pattern: string;
  readonly #options: RegexOptions;
  readonly #root: Regex;
  /** The text to find, where that is all there is to it. */
  readonly #literal: Buffer | undefined;
  readonly #needle: Buffer | undefined;
  readonly #test: RegExp | undefined;
  readonly #seesInvalid: boolean;
  /** A match within a line is one wherever the line stands. */
  readonly #contextFree: boolean;
  #scan: RegExp | undefined;
  #re2js: Re2jsRegex | undefined;
  #locate: { regexp: RegExp; inside: EmittedRegex['inside'] } | 'elsewhere' | undefined;

  constructor(pattern: string, root: Regex, names: readonly string[], options: RegexOptions) {
    this.#pattern = pattern;
    this.#options = options;
    this.#root = root;
    this.names = names;
    this.literals = requiredTexts(root);
    const core = stripEnds(root);
    const literal = exactText(core);
    this.#literal = literal === undefined ? undefined : Buffer.from(literal);
    const needle = this.literals.reduce((longest, text) => (text.length > longest.length ? text : longest), '');
    this.#needle = needle === '' ? undefined : Buffer.from(needle);
    this.#seesInvalid = seesInvalid(root);
    this.#contextFree = !hasAssertion(core);
    const emitted = linearEngineWorks() ? emitTest(core) : 'size';
    this.#test = typeof emitted === 'string' ? undefined : new RegExp(emitted.source);
  }

  test(bytes: Buffer, from: number, to: number): boolean {
    if (this.#test === undefined) return this.#slow.test(bytes, from, to);
    const repaired = this.#seesInvalid ? repairUtf8(bytes, from, to) : undefined;
    if (repaired !== undefined) return this.#test.test(repaired.bytes.toString('latin1'));
    return this.#test.test(bytes.toString('latin1', from, to));
  }

  captures(bytes: Buffer, from: number, to: number): Int32Array | undefined {
    const repaired = this.#repair(bytes, from, to);
    if (repaired !== undefined) return toOriginal(repaired, this.#capturesFrom(repaired.bytes, 0));
    return this.#capturesFrom(bytes.subarray(from, to), 0);
  }

  *allCaptures(bytes: Buffer): Generator<Int32Array> {
    const repaired = this.#repair(bytes, 0, bytes.length);
    const text = repaired?.bytes ?? bytes;
    let at = 0;
    let behind = -1;
    for (let found = this.#capturesFrom(text, 0); found !== undefined; found = this.#capturesFrom(text, at)) {
      const [start, end] = found;
      if (start < end || start !== behind) yield repaired === undefined ? found : toOriginal(repaired, found)!;
      behind = end;
      at = end > at ? end : nextSequence(text, at);
      if (at > text.length) return;
    }
  }

  /** The line that captures are to be found in, if not as it is. */
  #repair(bytes: Buffer, from: number, to: number): RepairedLine | undefined {
    this.#locate ??= this.#compileLocate();
    return this.#seesInvalid || this.#locate === 'elsewhere' ? repairUtf8(bytes, from, to) : undefined;
  }

  /** Captures of the first match at or behind `at` in `text`, repaired if need be. */
  #capturesFrom(text: Buffer, at: number): Int32Array | undefined {
    this.#locate ??= this.#compileLocate();
    if (this.#locate === 'elsewhere') return this.#slow.captures(text, at);
    const { regexp, inside } = this.#locate;
    regexp.lastIndex = at;
    const match = regexp.exec(text.toString('latin1'));
    if (match === null) return undefined;
    const out = new Int32Array(this.names.length * 2).fill(-1);
    out[0] = match.index;
    out[1] = match.index + match[0].length;
    for (const pieces of inside) place(pieces, match, match.index, out);
    return out;
  }

  rowsMatching(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number {
    if (this.#literal !== undefined) {
      return this.#literal.length === 0 ? count : rowsContaining(lines, ends, rows, count, this.#literal);
    }
    if (this.#needle !== undefined) {
      const candidates = rowsContaining(lines, ends, rows, count, this.#needle);
      return this.#eachRow(lines, ends, rows, 0, candidates, 0);
    }
    if (this.#test === undefined || !this.#contextFree) return this.#eachRow(lines, ends, rows, 0, count, 0);
    if (isNullable(this.#root)) return count;
    this.#scan ??= new RegExp(this.#test.source, 'g');
    let kept = 0;
    for (let from = 0; from < count; ) {
      const start = lineStart(ends, rows[from]);
      let to = from + 1;
      while (to < count && rows[to] === rows[to - 1] + 1 && ends[rows[to]] - start <= SLICE) to++;
      kept = this.#scanSlice(lines, ends, rows, from, to, kept);
      from = to;
    }
    return kept;
  }

  #eachRow(lines: Buffer, ends: Uint32Array, rows: Uint32Array, from: number, to: number, kept: number): number {
    let left = kept;
    for (let index = from; index < to; index++) {
      const row = rows[index];
      if (this.test(lines, lineStart(ends, row), ends[row])) rows[left++] = row;
    }
    return left;
  }

  /** Searches neighbouring lines as one text. A hit that runs past its line proves nothing, so that line is then looked at alone. */
  #scanSlice(lines: Buffer, ends: Uint32Array, rows: Uint32Array, from: number, to: number, kept: number): number {
    const start = lineStart(ends, rows[from]);
    const end = ends[rows[to - 1]];
    if (to - from === 1 || (this.#seesInvalid && !isUtf8(lines.subarray(start, end)))) {
      return this.#eachRow(lines, ends, rows, from, to, kept);
    }
    const text = lines.toString('latin1', start, end);
    const scan = this.#scan!;
    let left = kept;
    let next = from;
    scan.lastIndex = 0;
    for (let hit = scan.exec(text); hit !== null; hit = scan.exec(text)) {
      while (next < to && ends[rows[next]] - start <= hit.index) next++;
      if (next === to) break;
      const row = rows[next];
      const lineEnd = ends[row] - start;
      const inside = hit.index + hit[0].length <= lineEnd;
      if (inside || this.#test!.test(text.slice(lineStart(ends, row) - start, lineEnd))) rows[left++] = row;
      next++;
      scan.lastIndex = lineEnd;
    }
    return left;
  }

  get #slow(): Re2jsRegex {
    this.#re2js ??= new Re2jsRegex(this.#pattern, this.#options);
    return this.#re2js;
  }

  #compileLocate(): { regexp: RegExp; inside: EmittedRegex['inside'] } | 'elsewhere' {
    const emitted = linearEngineWorks() ? emitCaptures(this.#root) : 'size';
    return typeof emitted === 'string' ? 'elsewhere' : { regexp: new RegExp(emitted.source, 'g'), inside: emitted.inside };
  }
}

function toOriginal(repaired: RepairedLine, offsets: Int32Array | undefined): Int32Array | undefined {
  return offsets?.map((at) => (at < 0 ? at : repaired.original(at)));
}

/** Where the UTF-8 sequence behind the one at `at` starts. */
function nextSequence(text: Buffer, at: number): number {
  let next = at + 1;
  while (next < text.length && (text[next] & 0xc0) === 0x80) next++;
  return next;
}

function place(pieces: readonly Piece[], match: RegExpExecArray, start: number, out: Int32Array): void {
  let at = start;
  for (const piece of pieces) {
    const text = match[piece.emitted];
    if (text === undefined) return; // this alternative was not taken
    if (piece.group >= 0) {
      out[piece.group * 2] = at;
      out[piece.group * 2 + 1] = at + text.length;
    }
    for (const inside of piece.inside) place(inside, match, at, out);
    at += text.length;
  }
}

// --- matchers on label values -------------------------------------------------------------------------------------------------------------------------

/** The test of a stream matcher, or of one behind drop or keep, in which `.` matches a newline; an absent label is ''. Throws as `compileRegex`. */
export function compileMatcher({ op, value }: Pick<Matcher, 'op' | 'value'>, dotNewline = true): (value: string) => boolean {
  if (op === '=') return (text) => text === value;
  if (op === '!=') return (text) => text !== value;
  const wanted = op === '=~';
  const texts = exactTexts(parseRegex(value).root);
  if (texts !== undefined) {
    const known = new Set(texts);
    return (text) => known.has(text) === wanted;
  }
  return onText(compileRegex(value, { anchored: true, dotNewline }), wanted);
}

/** The test of a label filter. As in Loki, some patterns are not anchored: of `x.*`, `.*x`, `x(y|z)`, and of alternatives that begin alike, the texts are looked
 *  for anywhere; and one that matches the empty text alone, or `.*`, is no condition, or none beside others. */
export function compileFilterMatcher(matcher: Pick<Matcher, 'op' | 'value'>): (value: string) => boolean {
  if (matcher.op !== '=~' && matcher.op !== '!~') return compileMatcher(matcher);
  // Unlike in a matcher, `.` is no newline.
  const searches = searchesFor(parseRegex(matcher.value).root);
  if (searches === undefined || searches.every(({ letters, whole }) => whole && letters.length > 0)) return compileMatcher(matcher, false);
  const wanted = matcher.op === '=~';
  const telling = searches.filter(({ letters }) => letters.length > 0);
  if (telling.length === 0) return () => wanted;
  return onText(searchRegex(matcher.value, telling), wanted);
}

/** `anchored`: see {@link Search.whole}. */
function searchRegex(pattern: string, searches: readonly Search[], anchored = true): CompiledRegex {
  const items = searches.map(({ letters, whole }): Regex => {
    const text: Regex = { kind: 'concat', items: letters };
    return whole && anchored ? anchor(text) : text;
  });
  return new Regexp(pattern, { kind: 'alternate', items }, [''], { anchored: false, dotNewline: false });
}

const ungrouped = (node: Regex): Regex => (node.kind === 'group' ? ungrouped(node.item) : node);

/** A text to look for, as the whole value or anywhere in it. */
interface Search {
  readonly letters: readonly Regex[];
  readonly whole: boolean;
}

/** A text between what may be `.*`. */
interface Branch extends Search {
  readonly open: boolean;
}

/** What Loki looks for instead of a pattern: a text without letters is no condition, or none beside others. Undefined for one that it takes as it is. */
function searchesFor(root: Regex): Search[] | undefined {
  const node = ungrouped(root);
  if (node.kind === 'concat') {
    const items = node.items.filter((item) => !isAnything(item));
    const last = items.length > 1 ? ungrouped(items.at(-1)!) : undefined;
    const starts = items.slice(0, -1);
    const at = node.items.indexOf(items[0]);
    if (
      last?.kind === 'alternate' &&
      starts.every(isLetter) &&
      node.items[at + starts.length] === items.at(-1) &&
      node.items.length <= items.length + 1
    ) {
      return searchesOf(last.items)?.map(({ letters }) => ({ letters: [...starts, ...letters], whole: false }));
    }
  }
  return searchesOf(node.kind === 'alternate' ? node.items : [node]);
}

function searchesOf(items: readonly Regex[]): Search[] | undefined {
  const branches = items.flatMap((item) => branchOf(item) ?? []);
  return branches.length === items.length ? factored(branches) : undefined;
}

function branchOf(item: Regex): Branch | undefined {
  const node = ungrouped(item);
  const items = node.kind === 'concat' ? node.items : [node];
  const from = isAnything(items[0]) ? 1 : 0;
  const to = items.length > from && isAnything(items.at(-1)) ? items.length - 1 : items.length;
  const letters = items.slice(from, to);
  if (!letters.every(isLetter)) return undefined;
  return { letters, whole: letters.length === items.length, open: from > 0 };
}

/** Go's parser takes what consecutive alternatives begin with out of them, and makes one class of letters next to each other, which Loki cannot look for. */
function factored(branches: readonly Branch[]): Search[] | undefined {
  const searches: Search[] = [];
  let letters = 0;
  for (let from = 0, to = 0; from < branches.length; from = to) {
    let common = branches[from].open ? 0 : branches[from].letters.length;
    for (to = from + 1; to < branches.length && common > 0; to++) {
      const alike = branches[to].open ? 0 : commonStart(branches[from].letters, branches[to].letters, common);
      if (alike === 0) break;
      common = alike;
    }
    if (to === from + 1) {
      const { open: _, ...search } = branches[from];
      letters = search.whole && search.letters.length === 1 ? letters + 1 : 0;
      if (letters > 1) return undefined;
      searches.push(search);
      continue;
    }
    letters = 0;
    const group = branches.slice(from, to);
    const rests = factored(group.map((branch) => ({ ...branch, letters: branch.letters.slice(common) })));
    if (rests === undefined) return undefined;
    for (const rest of rests) searches.push({ letters: [...group[0].letters.slice(0, common), ...rest.letters], whole: false });
  }
  return searches;
}

function commonStart(a: readonly Regex[], b: readonly Regex[], most: number): number {
  let same = 0;
  while (same < most && same < b.length && rangesOf(a[same]) === rangesOf(b[same])) same++;
  return same;
}

const rangesOf = (node: Regex): string => (node.kind === 'class' ? node.ranges.join() : '');

/** `.*` */
function isAnything(node: Regex | undefined): boolean {
  if (node?.kind !== 'repeat' || node.min !== 0 || node.max !== Number.POSITIVE_INFINITY || node.item.kind !== 'class') return false;
  return negate(node.item.ranges).every((code) => code === 0x0a);
}

/** A letter, with or without regard to case. */
function isLetter(node: Regex): boolean {
  if (node.kind !== 'class' || node.ranges.length === 0) return false;
  const [first] = node.ranges;
  return exactText(node) !== undefined || foldCase([first, first]).join() === node.ranges.join();
}

function onText(regex: CompiledRegex, wanted: boolean): (text: string) => boolean {
  return (text) => {
    const bytes = Buffer.from(text);
    return regex.test(bytes, 0, bytes.length) === wanted;
  };
}
