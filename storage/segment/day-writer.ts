import type { Block } from '../../logql/model.ts';
import { Fault } from '../../ops/base/fault.ts';
import { DAY_NS } from '../batch/batch.ts';
import { type BlockHeader, StoredBlock, writeBlock } from '../chunk/block.ts';
import { cutBlocks, DayChunkId } from '../chunk/chunk.ts';
import type { MemoryBlock } from '../chunk/memory-block.ts';
import { type FilterOptions, FilterWriter } from './filter-writer.ts';
import { writeSegmentFooter } from './footer.ts';
import type { SegmentInfo } from './segment-info.ts';
import { Slabs } from './slabs.ts';
import { type SegmentStream, TenantUnderWay } from './tenant-contents.ts';

const ZSTD_LEVEL = 3;
/** Of chunks that hold a day, as the chunk directory has it. */
const DAY_CHUNK = 1;

/** A block as an object has it, its offsets counting from `baseNs`. */
export interface EncodedBlock {
  readonly header: BlockHeader;
  readonly baseNs: bigint;
  /** All columns. */
  readonly bytes: Buffer;
}

interface StreamUnderWay {
  readonly stream: SegmentStream;
  readonly at: number;
  readonly id: DayChunkId;
  readonly blocks: BlockHeader[];
}

/** Writes a segment: the streams of one tenant and UTC day, each as one chunk, then skip filters and the index. Compressed blocks and filters are kept until
 *  `finish`; what is written is not. */
export class DayWriter {
  readonly #baseNs: bigint;
  readonly #giveWay: () => Promise<void>;
  readonly #data = new Slabs();
  readonly #filters: FilterWriter;
  readonly #contents: TenantUnderWay;
  #stream: StreamUnderWay | undefined;

  /** `day`: UTC days since the epoch. `giveWay` is awaited between steps of a few milliseconds. */
  constructor({ tenant, day }: { tenant: string; day: number }, giveWay: () => Promise<void>, filters: FilterOptions) {
    this.#baseNs = BigInt(day) * BigInt(DAY_NS);
    this.#giveWay = giveWay;
    this.#filters = new FilterWriter(giveWay, filters);
    this.#contents = new TenantUnderWay(tenant);
  }

  /** Stored bytes so far. */
  get length(): number {
    return this.#data.length;
  }

  /** What follows is of this stream. Streams come sorted by labels (code units). */
  begin(stream: SegmentStream): void {
    this.#endStream();
    this.#stream = { stream, at: this.#data.length, id: new DayChunkId(stream.tenant, stream.labels, this.#baseNs), blocks: [] };
  }

  /** Entries that follow those before in time. */
  async write(block: MemoryBlock): Promise<void> {
    for (const part of cutBlocks(block)) {
      const at = this.#data.length;
      const header = writeBlock(part, (bytes) => this.#store(bytes), ZSTD_LEVEL);
      this.#add(header, part.baseNs);
      await this.#giveWay();
      await this.#filter(at, part);
    }
  }

  /** The same of a block that is encoded already: it is taken over as it is. */
  async copy({ header, baseNs, bytes }: EncodedBlock): Promise<void> {
    const at = this.#data.length;
    this.#store(bytes);
    this.#add(header, baseNs);
    await this.#filter(at, new StoredBlock(header, bytes, baseNs));
  }

  async #filter(at: number, block: Block): Promise<void> {
    await this.#filters.add(at, block);
    await this.#giveWay();
  }

  /** The object's bytes, to be written one after the other and owned by the caller, and how many rows its index counts. */
  async finish(info: SegmentInfo): Promise<{ body: Uint8Array[]; rows: number }> {
    this.#endStream();
    const { pages, sections } = await this.#filters.finish(this.#data.length);
    const contents = this.#contents.finish();
    const rows = contents.parts.reduce((sum, part) => sum + part.rows, 0);
    return { body: [...this.#data.parts(), ...pages, ...writeSegmentFooter(info, contents, sections)], rows };
  }

  #store(bytes: Uint8Array): void {
    this.#stream?.id.stored(bytes);
    this.#data.append(bytes);
  }

  #add(header: BlockHeader, baseNs: bigint): void {
    const shift = Number(baseNs - this.#baseNs);
    const shifted = { ...header, minOffset: header.minOffset + shift, maxOffset: header.maxOffset + shift };
    if (this.#stream === undefined) throw new Fault('internal', 'a block of no stream');
    const { blocks, id } = this.#stream;
    const before = blocks.at(-1)?.maxOffset ?? 0;
    if (shifted.minOffset < before || shifted.maxOffset >= DAY_NS)
      throw new Fault('internal', `a block from ${shifted.minOffset} to ${shifted.maxOffset} after ${before}`);
    blocks.push(shifted);
    id.end(shifted);
  }

  #endStream(): void {
    if (this.#stream === undefined) return;
    const { stream, at, id, blocks } = this.#stream;
    this.#stream = undefined;
    if (blocks.length === 0) return;
    const sum = (of: (block: BlockHeader) => number): number => blocks.reduce((total, block) => total + of(block), 0);
    this.#contents.add(stream, {
      id: id.finish(),
      level: DAY_CHUNK,
      baseNs: this.#baseNs,
      minOffset: blocks[0].minOffset,
      maxOffset: blocks[blocks.length - 1].maxOffset,
      rows: sum(({ rows }) => rows),
      lineBytes: sum(({ lineBytes }) => lineBytes),
      metadataBytes: sum(({ metadataBytes }) => metadataBytes),
      at,
      blocks,
    });
  }
}
