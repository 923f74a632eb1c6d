import { Fault } from '../../ops/base/fault.ts';
import type { Ranges } from './regex-classes.ts';
import { isNullable } from './regex-nodes.ts';
import type { Assertion, Regex } from './regex-parse.ts';
import { type ByteSequence, utf8Sequences } from './utf8-ranges.ts';

/** What counted repetitions may add by being written out. */
const MAX_EXPANSION = 2_000;
const MAX_INSTRUCTIONS = 100_000;

/** An instruction takes a code point, branches, notes a place, asserts something of it, or ends the match. */
export const TAKE = 0;
export const SPLIT = 1;
export const SAVE = 2;
export const ASSERT = 3;
export const MATCH = 4;

/** In a table: this byte is not of the class; it completes a code point of it. Other entries are the table for the next byte. */
export const NO = 0;
export const DONE = 1;

export const ASSERTIONS: readonly Assertion[] = ['text_start', 'text_end', 'line_start', 'line_end', 'word', 'not_word'];

/** A pattern as instructions over the bytes of valid UTF-8. */
export interface Program {
  readonly start: number;
  readonly ops: Uint8Array;
  /** Where it goes on; of a SPLIT the branch to be preferred. */
  readonly nexts: Int32Array;
  /** Of a TAKE its table, of a SPLIT the other branch, of a SAVE the slot, of an ASSERT the index in ASSERTIONS. */
  readonly args: Int32Array;
  /** By number, from 2 on. An entry for each byte. */
  readonly tables: readonly Uint16Array[];
  readonly asserts: boolean;
}

/** Compiles `root`, with `backward` for reading the text from its end to its start. Throws Fault limit_exceeded for what becomes too large. */
export function compileProgram(root: Regex, { backward = false } = {}): Program {
  return new Compiler(backward).compile(root);
}

class Compiler {
  readonly #backward: boolean;
  readonly #ops: number[] = [];
  readonly #nexts: number[] = [];
  readonly #args: number[] = [];
  readonly #tables = new TableSet();
  readonly #tableOf = new Map<Ranges, number>();
  #copied = 0;
  #asserts = false;

  constructor(backward: boolean) {
    this.#backward = backward;
  }

  compile(root: Regex): Program {
    const end = this.#emit(MATCH, -1, 0);
    const start = this.#node(root, end);
    return {
      start,
      ops: Uint8Array.from(this.#ops),
      nexts: Int32Array.from(this.#nexts),
      args: Int32Array.from(this.#args),
      tables: this.#tables.all,
      asserts: this.#asserts,
    };
  }

  #emit(op: number, next: number, arg: number): number {
    if (this.#ops.length === MAX_INSTRUCTIONS) {
      throw new Fault('limit_exceeded', `regular expression too large: it has more than ${MAX_INSTRUCTIONS} instructions`);
    }
    this.#nexts.push(next);
    this.#args.push(arg);
    return this.#ops.push(op) - 1;
  }

  /** Emits `node` so that it goes on at `next`; returns where it begins. */
  #node(node: Regex, next: number): number {
    switch (node.kind) {
      case 'class':
        return this.#emit(TAKE, next, this.#table(node.ranges));
      case 'assert':
        this.#asserts = true;
        return this.#emit(ASSERT, next, ASSERTIONS.indexOf(this.#backward ? MIRRORED[node.what] : node.what));
      case 'group': {
        const inner = this.#node(node.item, this.#emit(SAVE, next, node.index * 2 + 1));
        return this.#emit(SAVE, inner, node.index * 2);
      }
      case 'alternate':
        return node.items.map((item) => this.#node(item, next)).reduceRight((other, branch) => this.#emit(SPLIT, branch, other));
      case 'concat': {
        const items = this.#backward ? node.items : node.items.toReversed();
        return items.reduce((after, item) => this.#node(item, after), next);
      }
      case 'repeat':
        return this.#repeat(node, next);
    }
  }

  /** Counts are written out: `x{2,4}` as `xx(x(x)?)?`. */
  #repeat({ item, min, max, lazy }: Extract<Regex, { kind: 'repeat' }>, next: number): number {
    const endless = max === Number.POSITIVE_INFINITY;
    if (min > 1 || (!endless && max > 1)) {
      this.#copied += size(item) * (endless ? min : max);
      if (this.#copied > MAX_EXPANSION) {
        throw new Fault('limit_exceeded', `regular expression too large: its repetitions expand to more than ${MAX_EXPANSION} nodes`);
      }
    }
    let at = next;
    let left = min;
    if (endless) {
      at = min === 0 ? this.#star(item, lazy, next) : this.#plus(item, lazy, next);
      left = Math.max(0, min - 1);
    } else for (let count = min; count < max; count++) at = this.#branch(this.#node(item, at), next, lazy);
    for (; left > 0; left--) at = this.#node(item, at);
    return at;
  }

  #branch(inside: number, outside: number, lazy: boolean): number {
    return lazy ? this.#emit(SPLIT, outside, inside) : this.#emit(SPLIT, inside, outside);
  }

  /** An item that may be empty becomes `(x+)?`, so that an empty turn has the rank among the ways to match that RE2 gives it. */
  #star(item: Regex, lazy: boolean, next: number): number {
    if (isNullable(item)) return this.#branch(this.#plus(item, lazy, next), next, lazy);
    return this.#loop(item, lazy, next).split;
  }

  #plus(item: Regex, lazy: boolean, next: number): number {
    return this.#loop(item, lazy, next).item;
  }

  #loop(item: Regex, lazy: boolean, next: number): { split: number; item: number } {
    const split = this.#branch(next, next, lazy);
    const inside = this.#node(item, split);
    if (lazy) this.#args[split] = inside;
    else this.#nexts[split] = inside;
    return { split, item: inside };
  }

  #table(ranges: Ranges): number {
    let table = this.#tableOf.get(ranges);
    if (table === undefined) {
      const sequences: ByteSequence[] = utf8Sequences(ranges).map((sequence) => (this.#backward ? reversed(sequence) : sequence));
      for (let at = 0; at < ranges.length && ranges[at] < 0x80; at += 2) sequences.push([ranges[at], Math.min(ranges[at + 1], 0x7f)]);
      table = this.#tables.add(sequences);
      this.#tableOf.set(ranges, table);
    }
    return table;
  }
}

/** What an assertion is to someone who reads the text from its end. */
const MIRRORED: Readonly<Record<Assertion, Assertion>> = {
  text_start: 'text_end',
  text_end: 'text_start',
  line_start: 'line_end',
  line_end: 'line_start',
  word: 'word',
  not_word: 'not_word',
};

function reversed(sequence: ByteSequence): ByteSequence {
  const out: number[] = [];
  for (let at = sequence.length - 2; at >= 0; at -= 2) out.push(sequence[at], sequence[at + 1]);
  return out;
}

function size(node: Regex): number {
  if (node.kind === 'group') return 1 + size(node.item);
  if (node.kind === 'repeat') return 1 + size(node.item) * Math.max(1, node.max === Number.POSITIVE_INFINITY ? node.min : node.max);
  if (node.kind === 'concat' || node.kind === 'alternate') return node.items.reduce((sum, item) => sum + size(item), 1);
  return 1;
}

/** Tables of byte sequences, none of which is the beginning of another; equal tables are one. */
class TableSet {
  readonly all: Uint16Array[] = [new Uint16Array(0), new Uint16Array(0)]; // 0 and 1 are NO and DONE
  readonly #byContent = new Map<string, number>();

  /** The number of the table for the first byte of any of `sequences`. */
  add(sequences: readonly ByteSequence[]): number {
    return this.#table(
      sequences,
      sequences.map((_, index) => index),
      0,
      new Map(),
    );
  }

  /** The table for byte number `depth` of the sequences `members`. `known`: numbers of tables for members that are left. */
  #table(sequences: readonly ByteSequence[], members: readonly number[], depth: number, known: Map<string, number>): number {
    const lo = depth * 2;
    // Between two bounds of ranges nothing changes from one byte to the next.
    const bounds = new Set([0, 256]);
    for (const member of members) bounds.add(sequences[member][lo]).add(sequences[member][lo + 1] + 1);
    const cuts = [...bounds].sort((a, b) => a - b);
    const entries = cuts.slice(0, -1).map((cut): number => {
      const inside = members.filter((member) => sequences[member][lo] <= cut && cut <= sequences[member][lo + 1]);
      if (inside.length === 0) return NO;
      if (sequences[inside[0]].length === lo + 2) return DONE;
      const key = `${depth}:${inside.join()}`;
      let number = known.get(key);
      if (number === undefined) {
        number = this.#table(sequences, inside, depth + 1, known);
        known.set(key, number);
      }
      return number;
    });
    const content = `${cuts.join()}/${entries.join()}`;
    let number = this.#byContent.get(content);
    if (number === undefined) {
      const table = new Uint16Array(256);
      for (const [index, entry] of entries.entries()) table.fill(entry, cuts[index], cuts[index + 1]);
      number = this.all.push(table) - 1;
      this.#byContent.set(content, number);
    }
    return number;
  }
}
