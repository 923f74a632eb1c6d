import type { Label } from '../../logql/model.ts';
import { isMetadata } from '../../logql/pipeline/label-state.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import type { RangeReader } from '../../storage/blob/range-cache.ts';
import type { ReadMeter } from '../../storage/chunk/block.ts';
import { needleHashes } from '../../storage/chunk/needle-hashes.ts';
import type { FilterSection } from '../../storage/segment/filter-directory.ts';
import { blocksWithout } from '../../storage/segment/filter-probe.ts';
import type { ScanGroup } from './scan-group.ts';
import type { SourceUnit } from './sources.ts';

/** What an entry must have for a query to take it. */
export interface ScanNeeds {
  /** Texts that its line contains. */
  readonly required: readonly string[];
  /** Labels that it has, of its stream or from its metadata. */
  readonly requiredLabels: readonly Label[];
}

/** The filters of how many objects are asked ahead of the one whose answer is waited for. */
const OBJECTS_AHEAD = 3;

/** An object whose filters may be asked. */
interface FilteredObject {
  /** Among all. */
  readonly place: number;
  readonly key: string;
  readonly sections: readonly FilterSection[];
  /** Stored bytes of the blocks in question, by where they start. */
  readonly blocks: Map<number, number>;
  without: Promise<ReadonlySet<number>> | undefined;
}

/** Tells by skip filters which blocks of a scan hold nothing that the query needs. The filters of an object are asked once, about when its first group comes. */
export class GroupSkipper {
  readonly #ranges: RangeReader;
  readonly #meter: ReadMeter;
  readonly #hashes: Uint32Array;
  /** By key, in the order of their first groups. */
  readonly #byKey = new Map<string, FilteredObject>();
  readonly #objects: readonly FilteredObject[];

  constructor(groups: readonly ScanGroup[], needs: ScanNeeds | undefined, { ranges, meter }: { ranges: RangeReader; meter: ReadMeter }) {
    this.#ranges = ranges;
    this.#meter = meter;
    if (needs !== undefined) for (const group of groups) this.#add(group);
    this.#hashes = needs === undefined || this.#byKey.size === 0 ? new Uint32Array(0) : hashesOf(needs, groups);
    if (this.#hashes.length === 0) this.#byKey.clear();
    this.#objects = [...this.#byKey.values()];
  }

  #add({ units }: ScanGroup): void {
    for (const unit of units) {
      if (unit.kind !== 'stored' || unit.filters.length === 0) continue;
      const { key, filters: sections } = unit;
      let object = this.#byKey.get(key);
      if (object === undefined) {
        object = { place: this.#byKey.size, key, sections, blocks: new Map(), without: undefined };
        this.#byKey.set(key, object);
      }
      object.blocks.set(unit.at, unit.block.storedBytes);
    }
  }

  /** The group's units that may hold something. What is to be merged may lose units too: an entry that is in several of them is in none of those.
   *  Throws what the store throws. */
  async left({ units }: ScanGroup): Promise<readonly SourceUnit[]> {
    if (this.#byKey.size === 0) return units;
    const left: SourceUnit[] = [];
    for (const unit of units) {
      const object = unit.kind === 'stored' ? this.#byKey.get(unit.key) : undefined;
      if (unit.kind !== 'stored' || object === undefined || !(await this.#blocksWithout(object)).has(unit.at)) left.push(unit);
    }
    return left;
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#objects.map(({ without }) => without));
  }

  #blocksWithout(object: FilteredObject): Promise<ReadonlySet<number>> {
    for (const one of this.#objects.slice(object.place, object.place + 1 + OBJECTS_AHEAD)) one.without ??= this.#ask(one);
    return object.without!;
  }

  #ask({ key, sections, blocks }: FilteredObject): Promise<ReadonlySet<number>> {
    const without = blocksWithout({ hashes: this.#hashes, blocks }, { ranges: this.#ranges, key, sections, meter: this.#meter });
    without.catch(() => {}); // rejected again where it is awaited, or not needed any more
    return without;
  }
}

/** Hashes that the filter of every block has in which an entry may be that meets the needs; none if filters cannot tell. */
function hashesOf({ required, requiredLabels }: ScanNeeds, groups: readonly ScanGroup[]): Uint32Array {
  if (requiredLabels.length === 0) return needleHashes({ texts: required, values: [] });
  let fromMetadata = requiredLabels;
  for (const text of new Set(groups.map(({ stream }) => stream.labels))) {
    if (fromMetadata.length === 0) break;
    const labels = parseCanonicalLabels(text);
    fromMetadata = fromMetadata.filter(([name]) => isMetadata(labels, name));
  }
  return needleHashes({ texts: required, values: fromMetadata.map(([key, value]) => ({ key, value })) });
}
