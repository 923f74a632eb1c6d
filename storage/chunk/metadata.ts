import { compareUtf8, type MetadataColumn } from '../../logql/model.ts';

export type MetadataIndex = Uint8Array | Uint16Array | Uint32Array;

/** The metadata of rows [from, to) in its one canonical form: keys sorted, only keys and values that occur, values in the order of their first row, the
 *  narrowest index. `bytes`: sum over the rows of the UTF-8 lengths of keys and values. */
export function canonicalMetadata(
  columns: readonly MetadataColumn[],
  from: number,
  to: number,
): { metadata: readonly MetadataColumn[]; bytes: number } {
  let bytes = 0;
  const metadata: MetadataColumn[] = [];
  for (const { key, values, index } of columns) {
    const numbers = new Uint32Array(to - from);
    const canonical = new Uint32Array(values.length + 1);
    const kept: string[] = [];
    const sizes: number[] = [0];
    const keyBytes = Buffer.byteLength(key);
    for (let row = from; row < to; row++) {
      const old = index[row];
      if (old === 0) continue;
      let number = canonical[old];
      if (number === 0) {
        number = kept.push(values[old - 1]);
        canonical[old] = number;
        sizes.push(keyBytes + Buffer.byteLength(values[old - 1]));
      }
      numbers[row - from] = number;
      bytes += sizes[number];
    }
    if (kept.length > 0) metadata.push({ key, values: kept, index: narrowed(numbers, kept.length) });
  }
  metadata.sort((a, b) => compareUtf8(a.key, b.key));
  return { metadata, bytes };
}

/** Whether any of the rows [from, to) has the key. */
export function occurs({ index }: MetadataColumn, from: number, to: number): boolean {
  for (let row = from; row < to; row++) if (index[row] !== 0) return true;
  return false;
}

/** Bytes of an index that numbers `values` values. */
export function indexWidth(values: number): 1 | 2 | 4 {
  return values < 256 ? 1 : values < 65_536 ? 2 : 4;
}

/** The values' UTF-8 lengths, and their bytes end to end. Values have no lone surrogates: they were decoded from UTF-8. */
export function valueBytes(values: readonly string[]): { lengths: Uint32Array; text: Buffer } {
  const lengths = new Uint32Array(values.length);
  for (let number = 0; number < lengths.length; number++) lengths[number] = Buffer.byteLength(values[number]);
  return { lengths, text: Buffer.from(values.join('')) };
}

/** Takes apart what {@link valueBytes} put together. */
export function valuesFrom(lengths: readonly number[], bytes: Buffer): string[] {
  const text = bytes.toString('utf8');
  const ascii = text.length === bytes.length; // then bytes and characters count alike, and one decoding does for all
  const values = new Array<string>(lengths.length);
  let at = 0;
  for (let number = 0; number < lengths.length; number++) {
    const end = at + lengths[number];
    values[number] = ascii ? text.substring(at, end) : bytes.toString('utf8', at, end);
    at = end;
  }
  if (at !== bytes.length) throw new RangeError(`values of ${at} bytes in ${bytes.length}`);
  return values;
}

function narrowed(numbers: Uint32Array, values: number): MetadataIndex {
  const width = indexWidth(values);
  return width === 1 ? new Uint8Array(numbers) : width === 2 ? new Uint16Array(numbers) : numbers;
}
