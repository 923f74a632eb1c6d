import { type BlockOutline, formatLabels, type Labels, type Matcher, type MetadataColumn } from '../model.ts';
import { parseSelector } from '../syntax/parse.ts';
import { type LinelessBlock, lineBytesIn, type RowRange, rowsWithin } from './extent.ts';
import { VolumeBuckets, type VolumeTimes } from './volume-buckets.ts';
import { type VolumeName, VolumeTable } from './volume-table.ts';

export interface VolumeQuery extends VolumeTimes {
  /** A selector, `{}` for every stream. */
  readonly query: string;
  /** Labels that volumes are told apart by, and that streams must have; those of the selector if there are none. */
  readonly targetLabels: readonly string[];
  /** Volumes of sets of labels, or of the names of labels: then a stream counts for each name that it has. */
  readonly aggregateBy: 'series' | 'labels';
  /** Most volumes at one time. */
  readonly maxSeries: number;
}

/** The volumes of the streams and blocks that it is given. The bytes of entries are counted as Loki counts those of a chunk in memory: lines, 8 for each pair
 *  of structured metadata, and once each text that is a name or value in the stream's metadata, where it first is. */
export interface VolumeExecution {
  readonly matchers: readonly Matcher[];
  stream(labels: Labels): StreamVolume;
  /** The result so far, encoded; see volume-table.ts. */
  frame(): Uint8Array[];
}

export interface StreamVolume {
  /** Whether the outline tells all: then it is counted, and not to be given to `block`. */
  header(outline: BlockOutline): boolean;
  block(block: LinelessBlock): void;
  /** To be called once every block has come. */
  finish(): void;
}

/** Throws QueryError, or Fault bad_request if the query is more than a selector. */
export function volumeExecution(query: VolumeQuery): VolumeExecution {
  const { targetLabels, maxSeries } = query;
  const selector = parseVolumeSelector(query.query);
  const selected = new Set(selector.map(({ name }) => name));
  const missing = targetLabels.filter((name) => !selected.has(name));
  const buckets = new VolumeBuckets(query);
  const table = new VolumeTable(buckets.count, maxSeries);
  const namesOf = naming(query, selected);
  return {
    matchers: [...selector, ...missing.map((name): Matcher => ({ name, op: '=~', value: '.+' }))],
    stream: (labels) => new StreamVolumes(buckets, namesOf(labels), table),
    frame: () => table.frame(),
  };
}

/** `{}` is every stream, in this spelling only, as in Loki. Throws as `volumeExecution`. */
export function parseVolumeSelector(query: string): Matcher[] {
  return parseSelector(query, { allowAll: query === '{}' });
}

/** What the volume of a stream counts for. */
function naming({ targetLabels, aggregateBy }: VolumeQuery, selected: ReadonlySet<string>): (labels: Labels) => VolumeName[] {
  const targets = new Set(targetLabels);
  if (aggregateBy === 'labels') {
    return (labels) => {
      const names = labels.map(([name]) => name).filter((name) => targets.size === 0 || targets.has(name));
      return names.map((name) => ({ text: name, labels: [[name, '']] }));
    };
  }
  const kept = targets.size > 0 ? targets : selected;
  return (labels) => {
    const shown = kept.size === 0 ? labels : labels.filter(([name]) => kept.has(name));
    return [{ text: formatLabels(shown), labels: shown }];
  };
}

const PAIR_BYTES = 8;
/** Texts of one stream that are remembered. Of a stream that has more, a text that comes again may count again. */
const MOST_TEXTS = 262_144;

class StreamVolumes implements StreamVolume {
  readonly #buckets: VolumeBuckets;
  readonly #names: readonly VolumeName[];
  readonly #table: VolumeTable;
  /** The texts of the stream's metadata, with the first bucket that each is in. */
  readonly #texts = new Map<string, number>();

  constructor(buckets: VolumeBuckets, names: readonly VolumeName[], table: VolumeTable) {
    this.#buckets = buckets;
    this.#names = names;
    this.#table = table;
  }

  header(outline: BlockOutline): boolean {
    if (outline.metadataKeys().length > 0) return false;
    const { first, last, whole } = this.#span(outline);
    if (first !== last || !whole) return false;
    this.#add(first, outline.lineBytes);
    return true;
  }

  block(block: LinelessBlock): void {
    const { first, last } = this.#span(block);
    const columns = block.metadata().map((column) => new SeenColumn(column));
    for (let bucket = first; bucket <= last; bucket++) {
      const rows = rowsWithin(block, this.#buckets.startNs(bucket), this.#buckets.endNs(bucket));
      if (rows.from === rows.to) continue;
      let bytes = lineBytesIn(block, rows);
      for (const column of columns) bytes += this.#metadataBytes(column, rows, bucket);
      this.#add(bucket, bytes);
    }
  }

  finish(): void {
    for (const [text, bucket] of this.#texts) this.#add(bucket, Buffer.byteLength(text));
    this.#texts.clear();
  }

  /** The buckets that rows may be in, and whether all of them are. */
  #span({ baseNs, minOffset, maxOffset }: BlockOutline): { first: number; last: number; whole: boolean } {
    const fromNs = this.#buckets.startNs(0);
    const toNs = this.#buckets.endNs(this.#buckets.count - 1);
    const minNs = baseNs + BigInt(minOffset);
    const maxNs = baseNs + BigInt(maxOffset);
    return {
      first: minNs < fromNs ? 0 : minNs < toNs ? this.#buckets.bucketOf(minNs) : this.#buckets.count,
      last: maxNs < fromNs ? -1 : maxNs < toNs ? this.#buckets.bucketOf(maxNs) : this.#buckets.count - 1,
      whole: minNs >= fromNs && maxNs < toNs,
    };
  }

  #add(bucket: number, bytes: number): void {
    for (const name of this.#names) this.#table.add(name, bucket, bytes);
  }

  /** Of the pairs; and of texts for which there is no room. */
  #metadataBytes(column: SeenColumn, rows: RowRange, bucket: number): number {
    const { pairs, values } = column.count(rows);
    if (pairs === 0) return 0;
    let bytes = pairs * PAIR_BYTES;
    for (const text of [column.key, ...values]) {
      const first = this.#texts.get(text);
      if (first === undefined && this.#texts.size >= MOST_TEXTS) bytes += Buffer.byteLength(text);
      else if (first === undefined || bucket < first) this.#texts.set(text, bucket);
    }
    return bytes;
  }
}

/** A metadata column whose rows are counted bucket by bucket, from the first on. */
class SeenColumn {
  readonly key: string;
  readonly #column: MetadataColumn;
  /** By the number of a value: whether it was in a row. */
  readonly #seen: Uint8Array;

  constructor(column: MetadataColumn) {
    this.key = column.key;
    this.#column = column;
    this.#seen = new Uint8Array(column.values.length + 1);
  }

  /** How many of the rows have the key, and those of their values that were in no row before. */
  count({ from, to }: RowRange): { pairs: number; values: string[] } {
    const { values, index } = this.#column;
    const found: string[] = [];
    let pairs = 0;
    for (let row = from; row < to; row++) {
      const number = index[row];
      if (number === 0) continue;
      pairs++;
      if (this.#seen[number] === 1) continue;
      this.#seen[number] = 1;
      found.push(values[number - 1]);
    }
    return { pairs, values: found };
  }
}
