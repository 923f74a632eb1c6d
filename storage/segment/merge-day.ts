import { KiB, MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { DAY_NS } from '../batch/batch.ts';
import { parseCanonicalLabels } from '../batch/labels-text.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { type BlockHeader, checkBlock, StoredBlock } from '../chunk/block.ts';
import { isFullBlock } from '../chunk/chunk.ts';
import type { MemoryBlock } from '../chunk/memory-block.ts';
import { mergeInWindows } from '../chunk/merge.ts';
import { groupOverlapping, type Unit } from '../chunk/overlap.ts';
import { namingObject } from './damaged-object.ts';
import { DayWriter } from './day-writer.ts';
import type { FilterOptions } from './filter-writer.ts';
import type { Footer } from './footer.ts';
import type { SegmentInfo } from './segment-info.ts';
import { SequentialReader } from './sequential-reader.ts';
import type { SegmentSeries } from './tenant-section.ts';

export interface DayMerge {
  readonly tenant: string;
  /** UTC days since the epoch. */
  readonly day: number;
  /** What is merged, in the order in which its entries arrived; each holds entries of that tenant and day. */
  readonly inputs: readonly { readonly key: string; readonly footer: Footer }[];
  /** Of the result. */
  readonly info: SegmentInfo;
}

export interface MergedDay {
  readonly body: readonly Uint8Array[];
  /** As many as the inputs have, without the duplicates. */
  readonly rows: number;
  /** Blocks taken over as they were. */
  readonly copiedBlocks: number;
  readonly duplicates: number;
  readonly fetchedBytes: number;
}

/** About what is merged at once, which takes a few milliseconds; half of it still makes a block. Blocks that overlap each other are in memory beside it. */
const WINDOW_BYTES = 1.5 * MiB;
/** What comes before a full block is worth blocks of its own from this size on; otherwise both are merged. */
const WORTH_A_BLOCK = 512 * KiB;
const BEHIND_ALL_NS = 2n ** 70n;

/** A block of an input. */
interface StoredUnit extends Unit {
  readonly reader: SequentialReader;
  readonly header: BlockHeader;
  readonly baseNs: bigint;
  readonly at: number;
}

interface LoadedUnit {
  readonly unit: StoredUnit;
  readonly block: StoredBlock;
}

/** Merges what several objects hold of one tenant and day: every stream's entries in the order of time, each once. Streams and blocks are read one after the
 *  other; in memory are the inputs' indexes, the result, and the blocks that overlap at one time. `giveWay` is awaited between steps of a few milliseconds.
 *  Throws DamagedObject, and what the store throws. */
export async function mergeDay(
  { tenant, day, inputs, info }: DayMerge,
  { blobs, giveWay, filters }: { blobs: BlobStore; giveWay: () => Promise<void>; filters: FilterOptions },
): Promise<MergedDay> {
  const dayNs = BigInt(day) * BigInt(DAY_NS);
  const cursors = inputs.map(({ key, footer }) => new SeriesCursor(tenant, dayNs, footer, new SequentialReader(blobs, key)));
  const writer = new DayWriter({ tenant, day }, giveWay, filters);
  const streams = new StreamMerger(writer, giveWay);
  for (;;) {
    const labels = smallestLabels(cursors);
    if (labels === undefined) break;
    const units: StoredUnit[] = [];
    let hash = '';
    for (const cursor of cursors) {
      if (cursor.current?.labels !== labels) continue;
      hash = cursor.current.hash;
      cursor.addUnits(units);
      cursor.advance();
    }
    writer.begin({ tenant, labels, parsed: parseCanonicalLabels(labels), hash });
    await streams.merge(units);
    await giveWay();
  }
  const { copiedBlocks, duplicates } = streams;
  const fetchedBytes = cursors.reduce((sum, { reader }) => sum + reader.fetchedBytes, 0);
  const { body, rows } = await writer.finish(info);
  const rowsIn = inputs.reduce((sum, { footer }) => sum + rowsOf(footer, tenant, day), 0);
  if (rowsIn !== rows + duplicates)
    throw new Fault('internal', `${rowsIn} rows of ${tenant}, day ${day}, became ${rows} and ${duplicates} duplicates`);
  return { body, rows, copiedBlocks, duplicates, fetchedBytes };
}

/** By what the object's index says of the day as a whole. */
function rowsOf(footer: Footer, tenant: string, day: number): number {
  return footer.parts(tenant).find((part) => part.day === day)?.rows ?? 0;
}

function smallestLabels(cursors: readonly SeriesCursor[]): string | undefined {
  let smallest: string | undefined;
  for (const { current } of cursors)
    if (current !== undefined && (smallest === undefined || current.labels < smallest)) smallest = current.labels;
  return smallest;
}

/** Goes through the streams that one input has on the day. */
class SeriesCursor {
  readonly reader: SequentialReader;
  /** Undefined behind the last. */
  current: SegmentSeries | undefined;
  readonly #tenant: string;
  readonly #dayNs: bigint;
  readonly #footer: Footer;
  #next = 0;

  constructor(tenant: string, dayNs: bigint, footer: Footer, reader: SequentialReader) {
    this.reader = reader;
    this.#tenant = tenant;
    this.#dayNs = dayNs;
    this.#footer = footer;
    this.advance();
  }

  advance(): void {
    this.current = undefined;
    const count = this.#footer.seriesCount(this.#tenant);
    while (this.current === undefined && this.#next < count) {
      const series = this.#seriesAt(this.#next++);
      if (series.chunks.length > 0) this.current = series;
    }
  }

  #seriesAt(number: number): SegmentSeries {
    try {
      return this.#footer.seriesAt(this.#tenant, number, this.#dayNs, this.#dayNs + BigInt(DAY_NS));
    } catch (error) {
      throw namingObject(this.reader.key, error);
    }
  }

  /** Adds the current stream's blocks; each chunk is a source of its own. */
  addUnits(units: StoredUnit[]): void {
    for (const { baseNs, at: start, blocks } of this.current?.chunks ?? []) {
      const source = (units.at(-1)?.source ?? 0) + 1;
      let at = start;
      for (const header of blocks) {
        const minNs = baseNs + BigInt(header.minOffset);
        const maxNs = baseNs + BigInt(header.maxOffset);
        units.push({ source, minNs, maxNs, reader: this.reader, header, baseNs, at });
        at += header.storedBytes;
      }
    }
  }
}

/** Writes one stream after the other. Blocks that are large and overlap no other are taken over as they are. */
class StreamMerger {
  copiedBlocks = 0;
  duplicates = 0;
  readonly #writer: DayWriter;
  readonly #giveWay: () => Promise<void>;

  constructor(writer: DayWriter, giveWay: () => Promise<void>) {
    this.#writer = writer;
    this.#giveWay = giveWay;
  }

  async merge(units: readonly StoredUnit[]): Promise<void> {
    let run: StoredUnit[] = [];
    let runBytes = 0;
    for (const group of groupOverlapping(units)) {
      const [unit] = group;
      if (group.length === 1 && isFullBlock(unit.header) && (run.length === 0 || runBytes >= WORTH_A_BLOCK)) {
        await this.#mergeRun(run);
        [run, runBytes] = [[], 0];
        await this.#copy(unit);
      } else {
        run.push(...group);
        runBytes += group.reduce((sum, { header }) => sum + header.lineBytes + header.metadataBytes, 0);
      }
    }
    await this.#mergeRun(run);
  }

  async #copy({ reader, header, baseNs, at }: StoredUnit): Promise<void> {
    try {
      const bytes = await reader.read(at, header.storedBytes);
      checkBlock(header, bytes);
      this.copiedBlocks++;
      await this.#writer.copy({ header, baseNs, bytes });
    } catch (error) {
      throw namingObject(reader.key, error);
    }
  }

  /** Merges the units; loads each when its time has come, and forgets it when that is over. */
  async #mergeRun(units: readonly StoredUnit[]): Promise<void> {
    const waiting = [...units].sort((a, b) => (a.minNs < b.minNs ? -1 : a.minNs > b.minNs ? 1 : a.source - b.source));
    let open: LoadedUnit[] = [];
    let fromNs = waiting[0]?.minNs ?? 0n;
    for (let next = 0; next < waiting.length; ) {
      for (; next < waiting.length && bytesBetween(open, fromNs, waiting[next].minNs) < WINDOW_BYTES; next++)
        open.push({ unit: waiting[next], block: await this.#load(waiting[next]) });
      const toNs = next < waiting.length ? waiting[next].minNs : BEHIND_ALL_NS;
      // Entries of one time are in the order in which they arrived.
      open.sort((a, b) => a.unit.source - b.unit.source || (a.unit.at < b.unit.at ? -1 : 1));
      const blocks = open.map(({ block }) => block);
      await this.#write(blocks, fromNs, toNs);
      open = open.filter(({ unit }) => unit.maxNs >= toNs);
      fromNs = toNs;
    }
  }

  async #write(blocks: readonly StoredBlock[], fromNs: bigint, toNs: bigint): Promise<void> {
    for (const window of mergeInWindows(blocks, false, { windowBytes: WINDOW_BYTES }, { fromNs, toNs }) as Iterable<MemoryBlock>) {
      this.duplicates += window.duplicates;
      await this.#giveWay();
      await this.#writer.write(window);
    }
  }

  /** Decodes the block too, so that what overlaps is not decompressed all in one go, and damage is met where it is known whose it is. */
  async #load({ reader, header, baseNs, at }: StoredUnit): Promise<StoredBlock> {
    try {
      const block = new StoredBlock(header, await reader.read(at, header.storedBytes), baseNs);
      block.times();
      block.ends();
      block.metadata();
      await this.#giveWay();
      block.lines();
      await this.#giveWay();
      return block;
    } catch (error) {
      throw namingObject(reader.key, error);
    }
  }
}

/** About how many bytes of the blocks lie in the times [fromNs, toNs), taken as evenly spread. */
function bytesBetween(blocks: readonly { readonly unit: StoredUnit }[], fromNs: bigint, toNs: bigint): number {
  let bytes = 0;
  for (const { unit } of blocks) {
    const { minNs, maxNs, header } = unit;
    const inside = Number((maxNs < toNs ? maxNs + 1n : toNs) - (minNs > fromNs ? minNs : fromNs));
    if (inside > 0) bytes += ((header.lineBytes + header.metadataBytes) * inside) / Number(maxNs - minNs + 1n);
  }
  return bytes;
}
