import type { BatchBuilder } from '../../storage/batch/batch.ts';
import { sanitizeName } from '../../storage/batch/metadata-name.ts';
import type { TenantLimits } from '../limits.ts';
import { DETECTED_LEVEL } from './enrich.ts';
import { levelOf, levelOfSeverityNumber } from './levels.ts';

/** OpenTelemetry's name, and Loki's, for a number that says how severe an entry is. */
const SEVERITY_NUMBER = 'severity_number';
const REPLACEMENT = '\ufffd';

/** Cleans the structured metadata of entries, one after the other, and finds the level that it gives them. Pairs are names and values in turn.
 *  Methods that take pairs throw Fault bad_request if a name holds no letter or digit. */
export class EntryMetadata {
  readonly #own: LevelSearch;
  /** Pairs of the entry in hand whose name was another. */
  readonly #renamed: string[] = [];
  readonly #ofResource: SharedPairs;
  readonly #ofScope: SharedPairs;
  /** Pairs that all entries have beside their own, as sent, and their bytes, as `metadataSize` counts. */
  sharedCount = 0;
  sharedBytes = 0;

  constructor(limits: TenantLimits) {
    this.#own = new LevelSearch(limits);
    this.#ofResource = new SharedPairs(limits);
    this.#ofScope = new SharedPairs(limits);
  }

  /** What entries share until the next resource. */
  resource(pairs: readonly string[]): void {
    this.#ofResource.set(pairs);
    this.scope([]);
  }

  /** What they share beside that until the next scope. */
  scope(pairs: readonly string[]): void {
    this.#ofScope.set(pairs);
    this.sharedCount = this.#ofResource.count + this.#ofScope.count;
    this.sharedBytes = this.#ofResource.bytes + this.#ofScope.bytes;
  }

  /** Adds the entry's own pairs and the shared ones to the entry that `builder` was given last. Of equal names the scope's counts, then the resource's,
   *  then one that was another before: `a.b` counts before `a_b`, whichever comes first, as in Loki. */
  write(pairs: readonly string[], builder: BatchBuilder): void {
    const level = this.#own;
    const renamed = this.#renamed;
    level.clear();
    renamed.length = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      const name = sanitizeName(pairs[index]);
      const value = cleanValue(pairs[index + 1]);
      if (value === '') continue;
      level.look(name, value);
      if (name === pairs[index]) builder.metadata(name, value);
      else renamed.push(name, value);
    }
    for (let index = 0; index < renamed.length; index += 2) builder.metadata(renamed[index], renamed[index + 1]);
    this.#ofResource.write(builder);
    this.#ofScope.write(builder);
  }

  /** The level of the entry written last: one that was detected before, else `ofLabels`, else what the metadata names; undefined if nothing does.
   *  A value that names no level is taken as it is. */
  level(ofLabels: string | undefined): string | undefined {
    const [own, resource, scope] = [this.#own, this.#ofResource.level, this.#ofScope.level];
    const given = own.given || resource.given || scope.given;
    if (given !== '') return levelOf(given) ?? given;
    if (ofLabels !== undefined) return ofLabels;
    const shared = resource.rank <= scope.rank ? resource : scope;
    const { rank, value } = own.rank <= shared.rank ? own : shared;
    if (rank !== Number.POSITIVE_INFINITY) return levelOf(value) ?? value;
    const number = own.severityNumber || resource.severityNumber || scope.severityNumber;
    return number === '' ? undefined : levelOfSeverityNumber(number);
  }
}

/** Pairs of many entries, cleaned once. */
class SharedPairs {
  count = 0;
  bytes = 0;
  readonly level: LevelSearch;
  readonly #pairs: string[] = [];

  constructor(limits: TenantLimits) {
    this.level = new LevelSearch(limits);
  }

  set(pairs: readonly string[]): void {
    this.count = pairs.length / 2;
    this.bytes = metadataSize(pairs);
    this.level.clear();
    this.#pairs.length = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      const name = sanitizeName(pairs[index]);
      const value = cleanValue(pairs[index + 1]);
      if (value === '') continue;
      this.level.look(name, value);
      this.#pairs.push(name, value);
    }
  }

  write(builder: BatchBuilder): void {
    const pairs = this.#pairs;
    for (let index = 0; index < pairs.length; index += 2) builder.metadata(pairs[index], pairs[index + 1]);
  }
}

/** What pairs say about a level. */
class LevelSearch {
  /** The last value of detected_level. */
  given = '';
  /** Place among the fields in which levels are looked for of the first that was found, and the first value of that name. */
  rank = Number.POSITIVE_INFINITY;
  value = '';
  severityNumber = '';
  readonly #ranks: ReadonlyMap<string, number>;

  constructor({ logLevelFields }: TenantLimits) {
    this.#ranks = new Map(logLevelFields.map((name, rank) => [name, rank]));
  }

  clear(): void {
    this.given = '';
    this.rank = Number.POSITIVE_INFINITY;
    this.severityNumber = '';
  }

  look(name: string, value: string): void {
    const rank = this.#ranks.get(name);
    if (rank !== undefined && rank < this.rank) {
      this.rank = rank;
      this.value = value;
    }
    if (name === DETECTED_LEVEL) this.given = value;
    if (name === SEVERITY_NUMBER && this.severityNumber === '') this.severityNumber = value;
  }
}

function cleanValue(value: string): string {
  return value.includes(REPLACEMENT) ? value.replaceAll(REPLACEMENT, ' ') : value;
}

/** Bytes of names and values, without a level that was found by another such store on the way. */
export function metadataSize(pairs: readonly string[]): number {
  let size = 0;
  for (let index = 0; index < pairs.length; index += 2) {
    if (pairs[index] !== DETECTED_LEVEL) size += Buffer.byteLength(pairs[index]) + Buffer.byteLength(pairs[index + 1]);
  }
  return size;
}
