import { Fault } from '../../ops/base/fault.ts';
import { ASSERT, ASSERTIONS, DONE, MATCH, NO, type Program, SAVE, SPLIT, TAKE } from './regex-program.ts';

/** Steps that the groups of one match may take, and pairs of a branch and a place that it may note. */
const MOST_STEPS = 20_000_000;
const MOST_VISITS = 256 * 1024 * 1024;

/** What of a SPLIT can lead on. */
const NEITHER = 0;
const FIRST = 1;
const SECOND = 2;
const BOTH = 3;
/** The branch that leads on takes this one byte and comes back. */
const TURN = 4;
/** In the place of a byte: the match ends here. */
const AT_END = 256;
const OUTLOOK = AT_END + 1;
/** Programs of more instructions do without. */
const MOST_OUTLOOKS = 2_000;

const isWordAt = (bytes: Uint8Array, from: number, to: number, at: number): boolean => at >= from && at < to && WORD[bytes[at]] === 1;
const WORD = Uint8Array.from({ length: 256 }, (_, byte) => (/\w/.test(String.fromCharCode(byte)) ? 1 : 0));

/** Finds the groups of matches whose start is known: tries the ways to match in the order of preference, and none twice from the same place, so that
 *  the time is in proportion to text and pattern. */
export class GroupFinder {
  readonly #program: Program;
  readonly #slots: number;
  /** By instruction: number of the SPLIT. */
  readonly #branchOf: Int32Array;
  readonly #branches: number;
  /** What leads on, by number of the SPLIT and the byte that comes next; nothing if the program is large. */
  readonly #outlooks: Uint8Array | undefined;
  #visited = new Uint32Array(64);
  #stack = new Int32Array(64);

  /** `groups`: how many there are, the whole match included. */
  constructor(program: Program, groups: number) {
    this.#program = program;
    this.#slots = groups * 2;
    this.#branchOf = new Int32Array(program.ops.length);
    let branches = 0;
    for (const [at, op] of program.ops.entries()) if (op === SPLIT) this.#branchOf[at] = branches++;
    this.#branches = branches;
    if (program.ops.length > MOST_OUTLOOKS) return;
    this.#outlooks = new Uint8Array(branches * OUTLOOK);
    for (const [at, op] of program.ops.entries())
      if (op === SPLIT) this.#lookOut(at, this.#outlooks.subarray(this.#branchOf[at] * OUTLOOK));
  }

  /** Pairs of offsets from `from` for each group of the match at [start, end) in the text [from, to); -1 where a group took no part. */
  find(bytes: Uint8Array, from: number, to: number, start: number, end: number): Int32Array {
    const { ops, nexts, args, tables } = this.#program;
    const width = end - start + 1;
    this.#clear(width);
    const visited = this.#visited;
    const outlooks = this.#outlooks;
    const branchOf = this.#branchOf;
    const slots = new Int32Array(this.#slots).fill(-1);
    let stack: Int32Array<ArrayBufferLike> = this.#stack;
    let depth = 0;
    let at = this.#program.start;
    let place = start;
    for (let steps = 0; ; ) {
      if (++steps > MOST_STEPS) throw tooCostly(`takes more than ${MOST_STEPS} steps`);
      let alive = true;
      const op = ops[at];
      if (op === TAKE) {
        let entry = args[at];
        while (entry > DONE && place < end) entry = tables[entry][bytes[place++]];
        alive = entry === DONE;
      } else if (op === SPLIT) {
        let outlook = BOTH;
        if (outlooks !== undefined) {
          const base = branchOf[at] * OUTLOOK;
          outlook = outlooks[base + (place < end ? bytes[place] : AT_END)];
          while (outlook === TURN) outlook = outlooks[base + (++place < end ? bytes[place] : AT_END)];
        }
        if (outlook === SECOND) {
          at = args[at];
          continue;
        }
        alive = outlook !== NEITHER;
        if (outlook === BOTH) {
          const bit = branchOf[at] * width + (place - start);
          if ((visited[bit >>> 5] & (1 << (bit & 31))) !== 0) alive = false;
          else {
            visited[bit >>> 5] |= 1 << (bit & 31);
            if (depth + 2 > stack.length) stack = this.#grow();
            stack[depth++] = args[at];
            stack[depth++] = place;
          }
        }
      } else if (op === SAVE) {
        if (depth + 2 > stack.length) stack = this.#grow();
        stack[depth++] = -1 - args[at];
        stack[depth++] = slots[args[at]];
        slots[args[at]] = place - from;
      } else if (op === ASSERT) alive = holds(args[at], bytes, from, to, place);
      else if (place === end) {
        slots[0] = start - from;
        slots[1] = end - from;
        return slots;
      } else alive = false;
      if (alive) {
        at = nexts[at];
        continue;
      }
      // Back to the branch taken last; what was noted since is undone.
      for (;;) {
        if (depth === 0) throw new Fault('internal', 'a regular expression that matched has no way to match');
        place = stack[--depth];
        at = stack[--depth];
        if (at >= 0) break;
        slots[-1 - at] = place;
      }
    }
  }

  #lookOut(at: number, outlook: Uint8Array): void {
    const { ops, nexts, args, tables } = this.#program;
    const branches = [nexts[at], args[at]];
    this.#mark(branches[0], FIRST, outlook);
    this.#mark(branches[1], SECOND, outlook);
    for (const [index, branch] of branches.entries()) {
      if (ops[branch] !== TAKE || nexts[branch] !== at) continue;
      const table = tables[args[branch]];
      for (let byte = 0; byte < AT_END; byte++) if (table[byte] === DONE && outlook[byte] === [FIRST, SECOND][index]) outlook[byte] = TURN;
    }
  }

  /** Adds `branch` to the bytes that can come next on the way from `from`. */
  #mark(from: number, branch: number, outlook: Uint8Array): void {
    const { ops, nexts, args, tables } = this.#program;
    const seen = new Set<number>();
    const open = [from];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const op = ops[at];
      if (op === TAKE) {
        const table = tables[args[at]];
        for (let byte = 0; byte < AT_END; byte++) if (table[byte] !== NO) outlook[byte] |= branch;
      } else if (op === MATCH) outlook[AT_END] |= branch;
      else {
        open.push(nexts[at]);
        if (op === SPLIT) open.push(args[at]);
      }
    }
  }

  #clear(width: number): void {
    if (this.#branches * width > MOST_VISITS) throw tooCostly(`has more than ${MOST_VISITS} ways from its branches and places`);
    const words = Math.ceil((this.#branches * width) / 32);
    if (words > this.#visited.length) this.#visited = new Uint32Array(Math.max(words, this.#visited.length * 2));
    else this.#visited.fill(0, 0, words);
  }

  #grow(): Int32Array {
    const larger = new Int32Array(this.#stack.length * 2);
    larger.set(this.#stack);
    this.#stack = larger;
    return larger;
  }
}

function tooCostly(how: string): Fault {
  return new Fault('limit_exceeded', `regular expression too costly: it ${how} on one line`);
}

function holds(assertion: number, bytes: Uint8Array, from: number, to: number, at: number): boolean {
  switch (ASSERTIONS[assertion]) {
    case 'text_start':
      return at === from;
    case 'text_end':
      return at === to;
    case 'line_start':
      return at === from || bytes[at - 1] === 0x0a;
    case 'line_end':
      return at === to || bytes[at] === 0x0a;
    case 'word':
      return isWordAt(bytes, from, to, at - 1) !== isWordAt(bytes, from, to, at);
    default:
      return isWordAt(bytes, from, to, at - 1) === isWordAt(bytes, from, to, at);
  }
}
