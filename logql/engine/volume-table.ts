import { bytesOf, float64View, uint32View } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { compareUtf8, type Labels } from '../model.ts';

/** What volumes are told apart by: a set of labels, or a label's name. `text` is unique, and what equal volumes are ordered by. */
export interface VolumeName {
  readonly text: string;
  readonly labels: Labels;
}

export interface RankedVolume {
  readonly labels: Labels;
  /** By bucket, those in which the volume is among the largest. */
  readonly points: readonly { readonly bucket: number; readonly bytes: number }[];
}

interface Row extends VolumeName {
  readonly bytes: Map<number, number>;
}

/** Bytes by name and bucket, for those that occur. */
export class VolumeTable {
  readonly #rows = new Map<string, Row>();
  /** Names that each bucket has. */
  readonly #names: Uint32Array;
  readonly #maxNames: number;

  /** `maxNames`: most names of one bucket. */
  constructor(buckets: number, maxNames: number) {
    this.#names = new Uint32Array(buckets);
    this.#maxNames = maxNames;
  }

  /** Throws Fault limit_exceeded when a bucket has too many names. */
  add(name: VolumeName, bucket: number, bytes: number): void {
    let row = this.#rows.get(name.text);
    if (row === undefined) {
      row = { ...name, bytes: new Map() };
      this.#rows.set(name.text, row);
    }
    const known = row.bytes.get(bucket);
    row.bytes.set(bucket, (known ?? 0) + bytes);
    if (known !== undefined || ++this.#names[bucket] <= this.#maxNames) return;
    throw new Fault('limit_exceeded', `the query hit the max number of series limit (limit: ${this.#maxNames} series)`);
  }

  /** The names as JSON, then for each number the index of its name as uint32, its bucket as uint32, and the bytes as Float64. */
  frame(): Uint8Array[] {
    const rows = [...this.#rows.values()];
    const length = rows.reduce((sum, { bytes }) => sum + bytes.size, 0);
    const names = new Uint32Array(length);
    const buckets = new Uint32Array(length);
    const volumes = new Float64Array(length);
    let at = 0;
    for (const [index, row] of rows.entries()) {
      for (const [bucket, bytes] of row.bytes) {
        names[at] = index;
        buckets[at] = bucket;
        volumes[at++] = bytes;
      }
    }
    const header = rows.map(({ text, labels }): VolumeName => ({ text, labels }));
    return [Buffer.from(JSON.stringify(header)), bytesOf(names), bytesOf(buckets), bytesOf(volumes)];
  }

  /** Adds what another table over the same buckets holds. Throws Fault corrupt, and as `add`. */
  addFrame([header, nameBytes, bucketBytes, volumeBytes]: readonly Uint8Array[]): void {
    const names = JSON.parse(Buffer.from(header).toString()) as VolumeName[];
    const length = volumeBytes.length / 8;
    if (nameBytes.length !== length * 4 || bucketBytes.length !== length * 4)
      throw new Fault('corrupt', 'columns of a volume frame differ');
    const indexes = uint32View(nameBytes, 0, length);
    const buckets = uint32View(bucketBytes, 0, length);
    const volumes = float64View(volumeBytes, 0, length);
    for (let at = 0; at < length; at++) this.add(names[indexes[at]], buckets[at], volumes[at]);
  }

  /** Of each bucket the `limit` largest; those with the largest first volume first, of equal ones by name. */
  ranked(limit: number): RankedVolume[] {
    const byBucket = Array.from(this.#names, (): { row: Row; bytes: number }[] => []);
    for (const row of this.#rows.values()) for (const [bucket, bytes] of row.bytes) byBucket[bucket].push({ row, bytes });
    const points = new Map<Row, { bucket: number; bytes: number }[]>();
    for (const [bucket, volumes] of byBucket.entries()) {
      volumes.sort((a, b) => b.bytes - a.bytes || compareUtf8(a.row.text, b.row.text));
      for (const { row, bytes } of volumes.slice(0, limit)) {
        const known = points.get(row);
        if (known === undefined) points.set(row, [{ bucket, bytes }]);
        else known.push({ bucket, bytes });
      }
    }
    const ranked = [...points].sort(([a, [first]], [b, [other]]) => other.bytes - first.bytes || compareUtf8(a.text, b.text));
    return ranked.map(([{ labels }, ofRow]) => ({ labels, points: ofRow }));
  }
}
