import type { Labels } from '../../logql/model.ts';
import { ByteReader, ByteWriter, KiB } from '../../ops/base/bytes.ts';

/** A matcher ready to be asked: `equals` is set where only that one value passes. */
export interface CompiledMatcher {
  readonly name: string;
  /** A label that is absent has the value ''. */
  readonly test: (value: string) => boolean;
  readonly equals?: string;
}

/** Collects label → value → series. */
export class PostingsBuilder {
  readonly #names = new Map<string, Map<string, number[]>>();

  /** Series come in ascending order of their numbers. */
  add(series: number, labels: Labels): void {
    for (const [name, value] of labels) {
      let values = this.#names.get(name);
      if (values === undefined) {
        values = new Map();
        this.#names.set(name, values);
      }
      const list = values.get(value);
      if (list === undefined) values.set(value, [series]);
      else list.push(series);
    }
  }

  /** Layout: FORMAT.md. */
  finish(): Buffer {
    const out = new ByteWriter(1024);
    out.varint(this.#names.size);
    for (const [name, values] of sortedByKey(this.#names)) {
      const lists = new ByteWriter(1024);
      lists.varint(values.size);
      for (const [value, series] of sortedByKey(values)) {
        lists.text(value).varint(series.length);
        let before = 0;
        for (const number of series) {
          lists.varint(number - before);
          before = number;
        }
      }
      out.text(name).varint(lists.length).raw(lists.view());
    }
    return out.view();
  }
}

function sortedByKey<V>(map: ReadonlyMap<string, V>): [string, V][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

type Lists = ReadonlyMap<string, Uint32Array>;

/** Labels with more than this many bytes are read through for a single value, which takes a tenth of the time that decoding all of them does. */
const MOST_DECODED_FOR_ONE = 16 * KiB;
/** What a list that is decoded takes beside its numbers. */
const LIST_BYTES = 200;

/** Label → value → series, as stored. A label is decoded when first asked for. Throws RangeError on bytes that no builder made. */
export class Postings {
  readonly #seriesCount: number;
  readonly #encoded = new Map<string, Buffer>();
  readonly #decoded = new Map<string, Lists>();
  #heldBytes = 0;

  constructor(bytes: Buffer, seriesCount: number) {
    this.#seriesCount = seriesCount;
    const reader = new ByteReader(bytes);
    const names = reader.varint();
    for (let number = 0; number < names; number++) this.#encoded.set(reader.text(), reader.raw(reader.varint()));
  }

  /** What is held of labels that were decoded. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  forget(): void {
    this.#decoded.clear();
    this.#heldBytes = 0;
  }

  /** Sorted. */
  names(): string[] {
    return [...this.#encoded.keys()];
  }

  /** Sorted. */
  values(name: string): string[] {
    return [...this.#lists(name).keys()];
  }

  /** Numbers of the series that all matchers let through, ascending. */
  select(matchers: readonly CompiledMatcher[]): number[] {
    // Equalities first: they touch one list each, and often leave nothing to do for the others.
    const ordered = [...matchers].sort((a, b) => Number(isLookup(b)) - Number(isLookup(a)));
    const left = new Uint8Array(this.#seriesCount).fill(1);
    for (const matcher of ordered) {
      const passed = this.#passing(matcher);
      let count = 0;
      for (let series = 0; series < left.length; series++) {
        left[series] &= passed[series];
        count += left[series];
      }
      if (count === 0) return [];
    }
    const selected: number[] = [];
    for (let series = 0; series < left.length; series++) if (left[series] === 1) selected.push(series);
    return selected;
  }

  /** 1 for each series that the matcher lets through. */
  #passing(matcher: CompiledMatcher): Uint8Array {
    const passed = new Uint8Array(this.#seriesCount);
    if (isLookup(matcher)) {
      mark(passed, this.#list(matcher.name, matcher.equals!), 1);
      return passed;
    }
    const lists = this.#lists(matcher.name);
    if (matcher.test('')) passed.fill(1);
    for (const [value, series] of lists) mark(passed, series, matcher.test(value) ? 1 : 0);
    return passed;
  }

  #list(name: string, value: string): Uint32Array | undefined {
    const bytes = this.#encoded.get(name);
    if (bytes === undefined || bytes.length <= MOST_DECODED_FOR_ONE || this.#decoded.has(name)) return this.#lists(name).get(value);
    return findList(bytes, value, this.#seriesCount);
  }

  #lists(name: string): Lists {
    const known = this.#decoded.get(name);
    if (known !== undefined) return known;
    const bytes = this.#encoded.get(name);
    const lists = bytes === undefined ? new Map<string, Uint32Array>() : decodeLists(bytes, this.#seriesCount);
    if (bytes === undefined) return lists;
    this.#decoded.set(name, lists);
    for (const { byteLength } of lists.values()) this.#heldBytes += LIST_BYTES + byteLength;
    return lists;
  }
}

/** Whether the matcher names the one list of series that it lets through. */
function isLookup({ equals }: CompiledMatcher): boolean {
  return equals !== undefined && equals !== '';
}

function mark(flags: Uint8Array, series: Uint32Array | undefined, flag: 0 | 1): void {
  if (series === undefined) return;
  for (let index = 0; index < series.length; index++) flags[series[index]] = flag;
}

function decodeLists(bytes: Buffer, seriesCount: number): Lists {
  const reader = new ByteReader(bytes);
  const lists = new Map<string, Uint32Array>();
  const values = reader.varint();
  for (let number = 0; number < values; number++) {
    const value = reader.text();
    lists.set(value, readList(reader, seriesCount));
  }
  return lists;
}

/** The list of one value; undefined if there is none. */
function findList(bytes: Buffer, value: string, seriesCount: number): Uint32Array | undefined {
  const reader = new ByteReader(bytes);
  const wanted = Buffer.from(value);
  for (let left = reader.varint(); left > 0; left--) {
    if (reader.isText(wanted)) return readList(reader, seriesCount);
    reader.skipVarints(reader.varint());
  }
  return undefined;
}

function readList(reader: ByteReader, seriesCount: number): Uint32Array {
  const count = reader.varint();
  if (count > seriesCount) throw new RangeError(`${count} of ${seriesCount} series have one value`);
  const series = new Uint32Array(count);
  let before = 0;
  for (let index = 0; index < count; index++) {
    before += reader.varint();
    if (before >= seriesCount) throw new RangeError(`series ${before} of ${seriesCount}`);
    series[index] = before;
  }
  return series;
}
