import { gramHashes, valueHashes } from './gram-hash.ts';

/** What a row must have: texts in its line, values of metadata. */
export interface Needles {
  readonly texts: readonly string[];
  readonly values: readonly { readonly key: string; readonly value: string }[];
}

/** The fractional part of the golden ratio: its multiples are spread evenly, however many of them are taken. */
const STEP = 0.6180339887498949;

/** The hashes that the filter of every block has in which a row may be that has all of it; empty where filters cannot tell. Each few of them that follow each
 *  other come from all over the texts: neighbours tell much the same, and a part of a text may be in every line. */
export function needleHashes({ texts, values }: Needles): Uint32Array {
  const all = [...texts.map((text) => gramHashes(Buffer.from(text))), ...values.map(({ key, value }) => valueHashes(key, value))];
  const hashes = [...new Set(all.flatMap((some) => [...some]))];
  const places = hashes.map((hash, index) => ({ hash, place: (index * STEP) % 1 }));
  return Uint32Array.from(
    places.sort((a, b) => a.place - b.place),
    ({ hash }) => hash,
  );
}
