import { readdirSync, readFileSync } from 'node:fs';
import { Fault } from '../../ops/base/fault.ts';

/** A decoder under test. The property: it returns or throws a Fault, whatever it is given. */
export interface Target {
  readonly name: string;
  /** Folder under corpus/ with inputs to start from. */
  readonly corpus: string;
  /** Runs the decoder on bytes that it may keep and change. Asserts what else must hold of its result. */
  run(bytes: Buffer): void | Promise<void>;
}

/** An input for which the property does not hold. */
export interface Finding {
  readonly input: Buffer;
  readonly error: unknown;
}

const CORPUS = new URL('./corpus/', import.meta.url);
/** Larger inputs find nothing that smaller ones do not. */
const MAX_INPUT = 64 * 1024;

export function corpusOf(target: Target): Buffer[] {
  const folder = new URL(`${target.corpus}/`, CORPUS);
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(new URL(name, folder)));
}

/** Undefined if the property holds for `input`. */
export async function check(target: Target, input: Buffer): Promise<Finding | undefined> {
  try {
    await target.run(Buffer.from(input));
    return undefined;
  } catch (error) {
    return error instanceof Fault ? undefined : { input, error };
  }
}

/** Changes inputs of a corpus at random; the same seed gives the same inputs. */
export class Mutator {
  readonly #corpus: readonly Buffer[];
  readonly #next: () => number;

  constructor(corpus: readonly Buffer[], seed: number) {
    this.#corpus = corpus;
    this.#next = random(seed);
  }

  #below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)];
  }

  input(): Buffer {
    let bytes: Buffer = Buffer.from(this.#pick(this.#corpus));
    for (let changes = 1 + this.#below(6); changes > 0; changes--) bytes = this.#pick(this.#changes)(bytes);
    return bytes.subarray(0, MAX_INPUT);
  }

  /** A range [from, to), nearly always a short one. */
  #range(length: number): [from: number, to: number] {
    const from = this.#below(length + 1);
    const most = this.#below(8) === 0 ? length - from : Math.min(16, length - from);
    return [from, from + this.#below(most + 1)];
  }

  readonly #changes: readonly ((bytes: Buffer) => Buffer)[] = [
    (bytes) => this.#overwrite(bytes, Buffer.of(1 << this.#below(8)), true),
    (bytes) => this.#overwrite(bytes, Buffer.of(this.#below(256))),
    (bytes) => this.#overwrite(bytes, this.#pick(TELLING)),
    (bytes) => this.#splice(bytes, this.#pick(TELLING)),
    (bytes) => this.#splice(bytes, Buffer.alloc(0)),
    (bytes) => this.#splice(bytes, bytes.subarray(...this.#range(bytes.length))),
    (bytes) => {
      const other = this.#pick(this.#corpus);
      return this.#splice(bytes, other.subarray(...this.#range(other.length)));
    },
    (bytes) => bytes.subarray(0, this.#below(bytes.length + 1)),
    (bytes) => {
      const [from, to] = this.#range(bytes.length);
      const times = 1 + this.#below(1_000);
      return this.#splice(bytes, Buffer.concat(new Array(times).fill(bytes.subarray(from, Math.min(to, from + 8)))));
    },
  ];

  #overwrite(bytes: Buffer, by: Buffer, flip = false): Buffer {
    if (bytes.length < by.length) return bytes;
    const at = this.#below(bytes.length - by.length + 1);
    for (let index = 0; index < by.length; index++) bytes[at + index] = flip ? bytes[at + index] ^ by[index] : by[index];
    return bytes;
  }

  #splice(bytes: Buffer, by: Buffer): Buffer {
    const [from, to] = this.#range(bytes.length);
    return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);
  }
}

/** What decoders stumble over: bounds of numbers, brackets, quotes, halves of characters. */
const TELLING: readonly Buffer[] = [
  ...[0, 1, 127, 128, 255].map((byte) => Buffer.of(byte)),
  ...['00000000', 'ffffffff', 'ffffff7f', '00000080', '01000000', 'ffffffffffffffffff01', '80808080808080808000', 'ff0f'].map((hex) =>
    Buffer.from(hex, 'hex'),
  ),
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    ',',
    ':',
    '=',
    '{"',
    '"}',
    '[[',
    '\\u',
    '\\ud800',
    '\\ud83d\\ude00',
    '\\x',
    'null',
    '-',
    '1e999',
    '9223372036854775808',
  ].map((text) => Buffer.from(text)),
  ...['\n', '\0', '\u2028', 'ü', "'", '`', '#', '"streams":', '"stream":', '"values":', 'level=', '"level":'].map((text) =>
    Buffer.from(text),
  ),
  Buffer.of(0xc3),
  Buffer.of(0xff, 0xfe),
];

/** mulberry32: numbers in [0, 1). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
