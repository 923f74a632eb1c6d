import { isUtf8 } from 'node:buffer';
import { Fault } from '../../ops/base/fault.ts';
import type { Matcher } from '../model.ts';
import { GroupFinder } from './regex-captures.ts';
import { foldCase, negate, sameInLowerCase } from './regex-classes.ts';
import { Dfa } from './regex-dfa.ts';
import { exactText, exactTexts, requiredTexts } from './regex-literals.ts';
import { hasAssertion, isAnchored, isNullable, seesInvalid, stripEnds } from './regex-nodes.ts';
import { parseRegex, type Regex } from './regex-parse.ts';
import { compileProgram } from './regex-program.ts';
import { quickSearch } from './regex-quick.ts';
import { lineStart, rowsContaining } from './rows.ts';
import { type RepairedLine, repairUtf8 } from './utf8-repair.ts';

/** Neighbouring lines up to this many bytes are searched as one text. */
const SLICE = 16 * 1024;

/** Bytes that finding every match of a text may look at, for its length and at least: a pattern that looks far beyond each of its matches
 *  would look at all of the text for each. */
const LOOKS_PER_BYTE = 32;
const LEAST_LOOKS = 16 * 1024 * 1024;

/** Throws Fault parse_error, with the text that Go's regexp gives, unless `pattern` is RE2 syntax. Tells what it costs, as ParsedRegex. */
export function validateRegex(pattern: string): number {
  return parseRegex(pattern).cost;
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

/** A pattern in RE2 syntax over UTF-8 bytes, in time linear in the text. A byte that is not UTF-8 counts as U+FFFD. Throws Fault
 *  limit_exceeded where pattern and text together take too many steps. */
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
  return new Regexp(options.anchored ? anchor(root) : root, names);
}

/** The pattern of a line filter. What is but a text without regard to case is compared in lower case, as Loki does: `ς` is not `σ` then. */
export function compileLineRegex(pattern: string): CompiledRegex {
  if (pattern === '.+') return compileRegex(pattern, { anchored: false, dotNewline: true }); // to Loki: any line that is not empty
  const texts = /^\(\?i\)\(?([^\\.*+?()[\]{}^$]+)\)?$/.exec(pattern)?.[1].split('|');
  if (texts === undefined) {
    const searches = searchesFor(parseRegex(pattern).root) ?? [];
    const telling = searches.filter(({ letters }) => letters.length > 0);
    return telling.length === 0 || telling.length === searches.length
      ? compileRegex(pattern, { anchored: false, dotNewline: false })
      : searchRegex(telling, false);
  }
  const branches = texts.map((text): Regex => {
    const items = [...text].map((char): Regex => ({ kind: 'class', ranges: sameInLowerCase(char.codePointAt(0)!) }));
    return { kind: 'concat', items };
  });
  return new Regexp(branches.length === 1 ? branches[0] : { kind: 'alternate', items: branches }, ['']);
}

function anchor(item: Regex): Regex {
  return { kind: 'concat', items: [{ kind: 'assert', what: 'text_start' }, item, { kind: 'assert', what: 'text_end' }] };
}

class Regexp implements CompiledRegex {
  readonly names: readonly string[];
  readonly literals: readonly string[];
  readonly #root: Regex;
  /** The text to find, where that is all there is to it. */
  readonly #literal: Buffer | undefined;
  readonly #needle: Buffer | undefined;
  readonly #matchesAll: boolean;
  /** Whether the pattern could tell a line with bytes that are not UTF-8 from its repaired form. */
  readonly #repairs: boolean;
  readonly #tester: Dfa;
  /** Searches many lines as one text, where the pattern is simple enough. */
  readonly #quick: RegExp | undefined;
  #locator: Locator | undefined;

  constructor(root: Regex, names: readonly string[]) {
    this.#root = root;
    this.names = names;
    this.literals = requiredTexts(root);
    const core = stripEnds(root);
    const literal = exactText(core);
    this.#literal = literal === undefined ? undefined : Buffer.from(literal);
    const needle = this.literals.reduce((longest, text) => (text.length > longest.length ? text : longest), '');
    this.#needle = needle === '' ? undefined : Buffer.from(needle);
    this.#matchesAll = isNullable(root) && !hasAssertion(root);
    this.#repairs = seesInvalid(root) || hasAssertion(root);
    this.#tester = new Dfa(compileProgram(core), { anchored: isAnchored(core), longest: false, backward: false });
    if (literal === undefined) this.#quick = quickSearch(core);
  }

  test(bytes: Buffer, from: number, to: number): boolean {
    if (this.#matchesAll) return true;
    const repaired = this.#repairs ? repairUtf8(bytes, from, to) : undefined;
    if (repaired !== undefined) return this.#tester.find(repaired.bytes, 0, repaired.bytes.length, 0, true) >= 0;
    return this.#tester.find(bytes, from, to, from, true) >= 0;
  }

  rowsMatching(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number {
    if (this.#matchesAll || count === 0) return count;
    if (this.#literal !== undefined) return rowsContaining(lines, ends, rows, count, this.#literal);
    const candidates = this.#needle === undefined ? count : rowsContaining(lines, ends, rows, count, this.#needle);
    if (candidates === 0) return 0;
    const isValid = !this.#repairs || areValid(lines, ends, rows, candidates);
    if (this.#quick !== undefined && this.#needle === undefined && isValid) return this.#bySlices(this.#quick, lines, ends, rows, count);
    let kept = 0;
    for (let index = 0; index < candidates; index++) {
      const row = rows[index];
      const from = lineStart(ends, row);
      const matches = isValid ? this.#tester.find(lines, from, ends[row], from, true) >= 0 : this.test(lines, from, ends[row]);
      if (matches) rows[kept++] = row;
    }
    return kept;
  }

  #bySlices(quick: RegExp, lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): number {
    let kept = 0;
    for (let from = 0; from < count; ) {
      const start = lineStart(ends, rows[from]);
      let to = from + 1;
      while (to < count && rows[to] === rows[to - 1] + 1 && ends[rows[to]] - start <= SLICE) to++;
      kept = this.#scanSlice(quick, lines, ends, rows, from, to, kept);
      from = to;
    }
    return kept;
  }

  /** Searches neighbouring lines as one text. A hit that runs past its line proves nothing, so that line is then looked at alone. */
  #scanSlice(quick: RegExp, lines: Buffer, ends: Uint32Array, rows: Uint32Array, from: number, to: number, kept: number): number {
    const start = lineStart(ends, rows[from]);
    const text = lines.toString('latin1', start, ends[rows[to - 1]]);
    let left = kept;
    let next = from;
    quick.lastIndex = 0;
    for (let hit = quick.exec(text); hit !== null; hit = quick.exec(text)) {
      while (next < to && ends[rows[next]] - start <= hit.index) next++;
      if (next === to) break;
      const row = rows[next];
      const end = ends[row];
      const isInside = hit.index + hit[0].length <= end - start;
      if (isInside || this.#tester.find(lines, lineStart(ends, row), end, lineStart(ends, row), true) >= 0) rows[left++] = row;
      next++;
      quick.lastIndex = end - start;
    }
    return left;
  }

  captures(bytes: Buffer, from: number, to: number): Int32Array | undefined {
    const repaired = repairUtf8(bytes, from, to);
    const locator = this.#locate();
    if (repaired === undefined) return locator.captures(bytes, from, to, from);
    return toOriginal(repaired, locator.captures(repaired.bytes, 0, repaired.bytes.length, 0));
  }

  *allCaptures(bytes: Buffer): Generator<Int32Array> {
    const repaired = repairUtf8(bytes, 0, bytes.length);
    const locator = this.#locate();
    const text = repaired?.bytes ?? bytes;
    let looks = Math.max(LEAST_LOOKS, LOOKS_PER_BYTE * text.length);
    let behind = -1;
    for (let at = 0; at <= text.length; ) {
      const found = locator.captures(text, 0, text.length, at);
      looks -= locator.looked;
      if (looks < 0)
        throw new Fault('limit_exceeded', `regular expression too costly: its matches in a text of ${text.length} bytes overlap too far`);
      if (found === undefined) return;
      const [start, end] = found;
      if (start < end || start !== behind) yield repaired === undefined ? found : toOriginal(repaired, found)!;
      behind = end;
      at = end > at ? end : nextSequence(text, at);
    }
  }

  #locate(): Locator {
    this.#locator ??= new Locator(this.#root, this.names.length);
    return this.#locator;
  }
}

/** Finds where matches and their groups are. */
class Locator {
  /** Bytes that the last search looked at. */
  looked = 0;
  readonly #forward: Dfa;
  /** Not there where a match can begin in one place only. */
  readonly #backward: Dfa | undefined;
  readonly #groups: GroupFinder | undefined;

  constructor(root: Regex, groups: number) {
    const program = compileProgram(root);
    const anchored = isAnchored(root);
    this.#forward = new Dfa(program, { anchored, longest: false, backward: false });
    if (!anchored) this.#backward = new Dfa(compileProgram(root, { backward: true }), { anchored: true, longest: true, backward: true });
    if (groups > 1) this.#groups = new GroupFinder(program, groups);
  }

  /** As CompiledRegex, of the first match at or behind `at` in the valid UTF-8 of [from, to). */
  captures(text: Buffer, from: number, to: number, at: number): Int32Array | undefined {
    const end = this.#forward.find(text, from, to, at);
    this.looked = this.#forward.looked;
    if (end < 0) return undefined;
    const start = this.#backward === undefined ? from : this.#backward.findStart(text, from, to, end, at);
    if (this.#groups === undefined) return Int32Array.of(start - from, end - from);
    return this.#groups.find(text, from, to, start, end);
  }
}

/** Whether each of the lines is UTF-8. Of the column that alone says nothing: the end of a line and the start of the next may make one sequence. */
function areValid(lines: Buffer, ends: Uint32Array, rows: Uint32Array, count: number): boolean {
  const end = ends[rows[count - 1]];
  if (!isUtf8(lines.subarray(lineStart(ends, rows[0]), end))) return false;
  for (let index = 0; index < count; index++) {
    const to = ends[rows[index]];
    if (isInside(lines, lineStart(ends, rows[index])) || (to < end && isInside(lines, to))) return false;
  }
  return true;
}

/** Whether the byte at a place can only be inside of a UTF-8 sequence. */
const isInside = (bytes: Buffer, at: number): boolean => (bytes[at] & 0xc0) === 0x80;

function toOriginal(repaired: RepairedLine, offsets: Int32Array | undefined): Int32Array | undefined {
  return offsets?.map((at) => (at < 0 ? at : repaired.original(at)));
}

/** Where the UTF-8 sequence behind the one at `at` starts. */
function nextSequence(text: Buffer, at: number): number {
  let next = at + 1;
  while (next < text.length && isInside(text, next)) next++;
  return next;
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
  return onText(searchRegex(telling), wanted);
}

/** `anchored`: see {@link Search.whole}. */
function searchRegex(searches: readonly Search[], anchored = true): CompiledRegex {
  const items = searches.map(({ letters, whole }): Regex => {
    const text: Regex = { kind: 'concat', items: letters };
    return whole && anchored ? anchor(text) : text;
  });
  return new Regexp({ kind: 'alternate', items }, ['']);
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
