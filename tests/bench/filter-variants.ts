import { MiB } from '../../ops/base/bytes.ts';
import { realWorld } from '../../ops/base/world.ts';
import { MemoryBlobStore } from '../../storage/blob/memory.ts';
import { ReadMeter } from '../../storage/chunk/block.ts';
import { MemoryBlock } from '../../storage/chunk/memory-block.ts';
import { needleHashes } from '../../storage/chunk/needle-hashes.ts';
import { blocksWithout } from '../../storage/segment/filter-probe.ts';
import { FilterWriter } from '../../storage/segment/filter-writer.ts';

/** Line bytes of a block, end to end, and what the block takes in storage. */
export interface TextBlock {
  readonly text: Buffer;
  readonly storedBytes: number;
}

/** A way to make filters of blocks. */
export interface Variant {
  readonly name: string;
  build(blocks: readonly TextBlock[]): Promise<Built>;
}

export interface Built {
  readonly bytes: number;
  /** Numbers of the blocks that are left to be read for a needle. */
  left(needle: string): Promise<number[]>;
}

/** What is shipped, with its rule of how many pages are read. */
export const shipped: Variant = {
  name: 'shipped',
  async build(blocks) {
    const writer = new FilterWriter(async () => {}, { leastLineBytes: 0 });
    const places = blocks.map((_, number) => number * MiB);
    for (const [number, { text }] of blocks.entries()) await writer.add(places[number], blockOf(text));
    const { pages, sections } = await writer.finish(0);
    const blobs = new MemoryBlobStore(realWorld().clock);
    await blobs.put('o', pages);
    const stored = new Map(blocks.map(({ storedBytes }, number) => [places[number], storedBytes]));
    return {
      bytes: pages.reduce((sum, { length }) => sum + length, 0),
      async left(needle) {
        const hashes = needleHashes({ texts: [needle], values: [] });
        const meter = new ReadMeter(realWorld().clock);
        const without = await blocksWithout({ hashes, blocks: stored }, { ranges: blobs, key: 'o', sections, meter });
        return places.flatMap((at, number) => (without.has(at) ? [] : [number]));
      },
    };
  },
};

function blockOf(text: Buffer): MemoryBlock {
  const columns = { times: Float64Array.of(0), ends: Uint32Array.of(text.length), lines: text };
  return new MemoryBlock({ baseNs: 0n, ...columns, metadata: [], metadataBytes: 0 });
}

/** Hashes of a text that a filter holds. */
type Pick = (hashes: Uint32Array) => Iterable<number>;

/** Every `gram` bytes that follow each other, in as few bits, a power of two, as are filled to half at most. */
export function everyGram(gram: number): Variant {
  return variant(
    `every ${gram} bytes`,
    gram,
    (hashes) => hashes,
    1,
    (keys) => {
      let bits = 32;
      while (1 - Math.exp(-keys / bits) > 0.5) bits *= 2;
      return bits;
    },
  );
}

/** The least hash of each `window` that follow each other, by `bits` a key. */
export function winnowed(gram: number, window: number, bits: number, hashes: number): Variant {
  const name = `winnowed: ${gram} bytes, windows of ${window}, ${bits} bits a key, ${hashes} hashes`;
  return variant(
    name,
    gram,
    (all) => leastOfWindows(all, window),
    hashes,
    (keys) => Math.max(32, Math.ceil((keys * bits) / 32) * 32),
  );
}

function* leastOfWindows(hashes: Uint32Array, window: number): Generator<number> {
  let last = -1;
  for (let from = 0; from + window <= hashes.length; from++) {
    let least = from;
    for (let at = from + 1; at < from + window; at++) if (hashes[at] <= hashes[least]) least = at;
    if (least !== last) yield hashes[least];
    last = least;
  }
}

function variant(name: string, gram: number, pick: Pick, bitsOfKey: number, sizeOf: (keys: number) => number): Variant {
  return {
    name,
    async build(blocks) {
      const filters = blocks.map(({ text }) => {
        const keys = new Set(pick(rollingHashes(text, gram)));
        const size = sizeOf(keys.size);
        const words = new Uint32Array(size / 32);
        for (const key of keys) for (const bit of bitsOf(key, bitsOfKey, size)) words[bit >>> 5] |= 1 << (bit & 31);
        return { size, words };
      });
      return {
        bytes: filters.reduce((sum, { size }) => sum + size / 8, 0),
        async left(needle) {
          const keys = [...new Set(pick(rollingHashes(Buffer.from(needle), gram)))];
          return filters.flatMap(({ size, words }, number) =>
            keys.every((key) => bitsOf(key, bitsOfKey, size).every((bit) => ((words[bit >>> 5] >>> (bit & 31)) & 1) === 1)) ? [number] : [],
          );
        },
      };
    },
  };
}

function bitsOf(key: number, count: number, size: number): number[] {
  const step = (Math.imul(key, 0x9e3779b1) | 1) >>> 0;
  return Array.from({ length: count }, (_, number) => ((key + number * step) % 2 ** 32) % size);
}

function rollingHashes(text: Buffer, gram: number): Uint32Array {
  const hashes = new Uint32Array(Math.max(0, text.length - gram + 1));
  let out = 1;
  for (let step = 0; step < gram; step++) out = Math.imul(out, 0x01000193);
  let hash = 0;
  for (let at = 0; at < text.length; at++) {
    hash = (Math.imul(hash, 0x01000193) + text[at] - (at < gram ? 0 : Math.imul(out, text[at - gram]))) | 0;
    if (at < gram - 1) continue;
    const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hashes[at - gram + 1] = Math.imul(mixed ^ (mixed >>> 13), 0x9e3779b1);
  }
  return hashes;
}
