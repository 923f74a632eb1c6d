import { Fault } from '../../ops/base/fault.ts';
import { ASSERT, ASSERTIONS, DONE, MATCH, NO, type Program, SPLIT, TAKE } from './regex-program.ts';

/** States that are remembered; beyond, all are forgotten and what is needed is found anew. */
const MOST_STATES = 4_000;
/** Threads of all states that are remembered, for each instruction. */
const MOST_THREADS = 600;
/** Steps that finding new states may take for one text. */
const MOST_WORK = 10_000_000;

/** What stands at one side of a place, as far as assertions can tell. */
const EDGE = 0;
const NEWLINE = 1;
const WORD = 2;
const OTHER = 3;

const kindOf = (byte: number): number => (byte === 0x0a ? NEWLINE : isWord(byte) ? WORD : OTHER);
const isWord = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || (byte >= 0x61 && byte <= 0x7a);

const DEAD = 0;
const NONE = new Int32Array(0);

interface State {
  /** Where the ways to match stand before the next byte, the preferred first: instructions that are yet to be followed to those that
   *  take a byte, or, from the count of instructions on, a place within a code point. */
  readonly threads: Int32Array;
  readonly before: number;
  /** A match may also begin here. */
  readonly open: boolean;
}

export interface DfaOptions {
  /** A match begins where the search does. */
  readonly anchored: boolean;
  /** The longest match counts, not the preferred one. */
  readonly longest: boolean;
  /** Reads from the end of the text to its start; the program is a backward one then. */
  readonly backward: boolean;
}

/** Runs a program in one step for each byte, whatever the pattern: a state stands for all ways to match up to a place, and what follows
 *  it is found out when first met. */
export class Dfa {
  readonly #program: Program;
  readonly #options: DfaOptions;
  /** Bytes that the program cannot tell apart have one class; the last class is the end of the text. */
  readonly #classOf: Uint8Array;
  readonly #byteOf: readonly number[];
  readonly #classes: number;
  /** By state and class: 0 not known yet, positive the offset of the next state, negative -1 - (offset × 2 + 1 if a match ends before the byte). */
  #moves: Int32Array;
  #states: State[] = [];
  /** Numbers of the states, by a hash of what they are. */
  #numbers = new Map<number, number[]>();
  #threads = 0;
  readonly #mostThreads: number;
  #work = 0;
  /** By instruction: the round in which it was last followed, or stepped to. */
  readonly #followed: Uint32Array;
  readonly #reached: Uint32Array;
  #round = 0;
  readonly #stack: number[] = [];
  #takers: number[] = [];
  /** Bytes that the last search looked at. */
  looked = 0;

  constructor(program: Program, options: DfaOptions) {
    this.#program = program;
    this.#options = options;
    const { classOf, byteOf } = byteClasses(program);
    this.#classOf = classOf;
    this.#byteOf = byteOf;
    this.#classes = byteOf.length + 1;
    this.#moves = new Int32Array(16 * this.#classes);
    this.#followed = new Uint32Array(program.ops.length);
    this.#reached = new Uint32Array(program.ops.length);
    this.#mostThreads = Math.max(10_000, MOST_THREADS * program.ops.length);
    this.#forget();
  }

  #forget(): void {
    this.#states = [];
    this.#numbers.clear();
    this.#threads = 0;
    this.#moves.fill(0);
    this.#intern({ threads: NONE, before: OTHER, open: false }); // DEAD
  }

  /** Where the first match ends that begins at or behind `at` in bytes [from, to), or -1; if `anyEnd`, some place by which there is a match.
   *  Throws Fault limit_exceeded if that takes too many steps. */
  find(bytes: Uint8Array, from: number, to: number, at: number, anyEnd = false): number {
    return this.#search(bytes, from, to, at, to, anyEnd);
  }

  /** Where the longest match starts that ends at `at` and starts at or behind `floor`, or -1. The text around it is bytes [from, to). */
  findStart(bytes: Uint8Array, from: number, to: number, at: number, floor: number): number {
    return this.#search(bytes, from, to, at, floor, false);
  }

  /** Reads from `at` to `limit`, down to it if backward. */
  #search(bytes: Uint8Array, from: number, to: number, at: number, limit: number, anyEnd: boolean): number {
    this.#work = 0;
    const { backward } = this.#options;
    const classOf = this.#classOf;
    const stop = backward ? limit - 1 : limit;
    const step = backward ? -1 : 1;
    let found = -1;
    let index = backward ? at - 1 : at;
    let offset = this.#first(bytes, from, to, at);
    let moves = this.#moves;
    for (; index !== stop; index += step) {
      const byteClass = classOf[bytes[index]];
      const known = moves[offset + byteClass];
      if (known === offset) continue; // mostly so, and what comes next need not wait for `known` then
      if (known > 0) {
        offset = known;
        continue;
      }
      const move = known === 0 ? this.#move(offset, byteClass) : known;
      moves = this.#moves;
      if (move > 0) offset = move;
      else {
        const code = -1 - move;
        if ((code & 1) === 1) {
          found = backward ? index + 1 : index;
          if (anyEnd) break;
        }
        offset = code >> 1;
        if (offset === DEAD) break;
      }
    }
    this.looked = Math.abs(index - at) + 1;
    if (index !== stop) return found;
    const beyond = backward && limit > from ? classOf[bytes[limit - 1]] : this.#classes - 1;
    const move = this.#moves[offset + beyond] || this.#move(offset, beyond);
    return move < 0 && ((-1 - move) & 1) === 1 ? limit : found;
  }

  #first(bytes: Uint8Array, from: number, to: number, at: number): number {
    const { backward, anchored } = this.#options;
    const edge = backward ? at === to : at === from;
    const before = !this.#program.asserts ? OTHER : edge ? EDGE : kindOf(bytes[backward ? at : at - 1]);
    return this.#intern({ threads: anchored ? Int32Array.of(this.#program.start) : NONE, before, open: !anchored });
  }

  /** The offset of a state in #moves. */
  #intern(state: State): number {
    let hash = state.before * 2 + (state.open ? 1 : 0);
    const { threads } = state;
    for (let at = 0; at < threads.length; at++) hash = Math.imul(hash ^ threads[at], 0x01000193) ^ (hash >>> 15);
    let same = this.#numbers.get(hash);
    if (same === undefined) {
      same = [];
      this.#numbers.set(hash, same);
    }
    let number = same.find((known) => areEqual(this.#states[known], state));
    if (number === undefined) {
      number = this.#states.push(state) - 1;
      same.push(number);
      this.#threads += state.threads.length;
      if (this.#states.length * this.#classes > this.#moves.length) {
        const larger = new Int32Array(this.#moves.length * 2);
        larger.set(this.#moves);
        this.#moves = larger;
      }
    }
    return number * this.#classes;
  }

  /** Finds out the move from a state on a class, and remembers it. */
  #move(offset: number, byteClass: number): number {
    const state = this.#states[offset / this.#classes];
    const isEnd = byteClass === this.#byteOf.length;
    const byte = isEnd ? -1 : this.#byteOf[byteClass];
    this.#round++;
    const matched = this.#follow(state, byte);
    const threads = isEnd ? NONE : this.#advance(byte);
    if (this.#work > MOST_WORK) {
      throw new Fault('limit_exceeded', `regular expression too costly: it takes more than ${MOST_WORK} steps on one line`);
    }
    const open = state.open && !isEnd && !(matched && !this.#options.longest);
    let from = offset;
    if (this.#states.length > MOST_STATES || this.#threads > this.#mostThreads) {
      this.#forget();
      from = -1; // the state it comes from is gone
    }
    const before = this.#program.asserts && !isEnd ? kindOf(byte) : OTHER;
    const next = threads.length === 0 && !open ? DEAD : this.#intern({ threads, before, open });
    const move = matched || next === DEAD ? -1 - (next * 2 + (matched ? 1 : 0)) : next;
    if (from >= 0) this.#moves[from + byteClass] = move;
    return move;
  }

  /** Follows the threads of a state to where they take a byte, `byte` being the one that comes next, -1 at the end. True if one matches. */
  #follow({ threads, before, open }: State, byte: number): boolean {
    const after = byte < 0 ? EDGE : kindOf(byte);
    const { longest } = this.#options;
    const count = this.#program.ops.length;
    this.#takers.length = 0;
    let matched = false;
    for (const thread of threads) {
      if (thread >= count) this.#takers.push(thread);
      else if (this.#walk(thread, before, after)) {
        matched = true;
        if (!longest) return true; // whatever is less preferred does not count any more
      }
    }
    const isInside = byte >= 0x80 && byte < 0xc0;
    return (open && !isInside && this.#walk(this.#program.start, before, after)) || matched;
  }

  /** From one instruction. True if that leads to a match, beyond which it does not look unless the longest one counts. */
  #walk(from: number, before: number, after: number): boolean {
    const { ops, nexts, args } = this.#program;
    const stack = this.#stack;
    const followed = this.#followed;
    const round = this.#round;
    const takers = this.#takers;
    let matched = false;
    let depth = 0;
    for (let at = from; ; at = stack[--depth]) {
      // Straight on as far as there is one way.
      while (followed[at] !== round) {
        followed[at] = round;
        this.#work++;
        const op = ops[at];
        if (op === TAKE) {
          takers.push(at);
          break;
        }
        if (op === MATCH) {
          matched = true;
          if (!this.#options.longest) return true;
          break;
        }
        if (op === ASSERT && !holds(args[at], before, after)) break;
        if (op === SPLIT) stack[depth++] = args[at];
        at = nexts[at];
      }
      if (depth === 0) return matched;
    }
  }

  /** Where the threads that take a byte stand behind it. */
  #advance(byte: number): Int32Array {
    const { ops, nexts, args, tables } = this.#program;
    const count = ops.length;
    const takers = this.#takers;
    const reached = this.#reached;
    const round = this.#round;
    const out = new Int32Array(takers.length);
    let size = 0;
    let inside: Set<number> | undefined;
    this.#work += takers.length;
    for (let index = 0; index < takers.length; index++) {
      const thread = takers[index];
      const at = thread < count ? thread : thread % count;
      const entry = tables[thread < count ? args[at] : Math.floor(thread / count)][byte];
      if (entry === NO) continue;
      if (entry === DONE) {
        const next = nexts[at];
        if (reached[next] === round) continue;
        reached[next] = round;
        out[size++] = next;
      } else {
        const next = at + entry * count;
        inside ??= new Set();
        if (inside.has(next)) continue;
        inside.add(next);
        out[size++] = next;
      }
    }
    const threads = out.slice(0, size);
    return this.#options.longest ? threads.sort() : threads;
  }
}

function areEqual(a: State, b: State): boolean {
  if (a.before !== b.before || a.open !== b.open || a.threads.length !== b.threads.length) return false;
  for (let index = 0; index < a.threads.length; index++) if (a.threads[index] !== b.threads[index]) return false;
  return true;
}

function holds(assertion: number, before: number, after: number): boolean {
  switch (ASSERTIONS[assertion]) {
    case 'text_start':
      return before === EDGE;
    case 'text_end':
      return after === EDGE;
    case 'line_start':
      return before === EDGE || before === NEWLINE;
    case 'line_end':
      return after === EDGE || after === NEWLINE;
    case 'word':
      return (before === WORD) !== (after === WORD);
    default:
      return (before === WORD) === (after === WORD);
  }
}

function byteClasses({ tables, asserts }: Program): { classOf: Uint8Array; byteOf: number[] } {
  const classOf = new Uint8Array(256);
  const byteOf: number[] = [];
  const known = new Map<string, number>();
  for (let byte = 0; byte < 256; byte++) {
    let key = byte >= 0x80 && byte < 0xc0 ? 'in' : asserts ? String(kindOf(byte)) : '';
    for (let table = 2; table < tables.length; table++) key += `,${tables[table][byte]}`;
    let found = known.get(key);
    if (found === undefined) {
      found = byteOf.push(byte) - 1;
      known.set(key, found);
    }
    classOf[byte] = found;
  }
  return { classOf, byteOf };
}
