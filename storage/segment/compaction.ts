import { createHash } from 'node:crypto';
import type { Position } from '../log/ingest-log.ts';
import { byArrival } from './arrival.ts';
import { Closure } from './closure.ts';
import type { Footer, Part } from './footer.ts';
import { segmentKey } from './keys.ts';
import type { LogCover, SegmentInfo } from './segment-info.ts';

/** An object that is merged. */
export interface CompactionInput {
  readonly key: string;
  readonly footer: Footer;
  readonly oldestMs: number;
}

/** What is merged: parts of one tenant and day, all of one level, in the order in which their entries arrived. */
export interface Compaction {
  readonly tenant: string;
  /** UTC days since the epoch. */
  readonly day: number;
  readonly inputs: readonly CompactionInput[];
}

/** Key and description of what comes of it. Equal inputs give an equal key. `floors`: per log the position below which no level-0 object is needed. */
export function segmentFor({ tenant, day, inputs }: Compaction, floors: ReadonlyMap<string, Position>): { key: string; info: SegmentInfo } {
  const parts = inputs.map(({ footer }) => partOf(footer, tenant, day));
  const level = inputs[0].footer.level + 1;
  const deletesApplied = Math.min(...inputs.map(({ footer }) => footer.deletesApplied));
  const hash = createHash('sha256');
  for (const key of inputs.map((input) => input.key).sort()) hash.update(`${key}\n`);
  hash.update(`${deletesApplied}`);
  const key = segmentKey({
    tenant,
    day,
    level,
    minOffset: Math.min(...parts.map(({ minOffset }) => minOffset)),
    maxOffset: Math.max(...parts.map(({ maxOffset }) => maxOffset)),
    id: hash.digest('hex').slice(0, 32),
  });
  const closure = Closure.union(inputs.map(({ key, footer }) => closureWith(key, footer)));
  const [{ oldestMs, first }] = inputs.map((input) => ({ oldestMs: input.oldestMs, first: input.footer.first })).sort(byArrival);
  return { key, info: { level, deletesApplied, oldestMs, first, closure, cover: coverOf(closure, inputs, floors) } };
}

function partOf(footer: Footer, tenant: string, day: number): Part {
  return footer.parts(tenant).find((part) => part.day === day)!;
}

/** What stands for the input stands for all that it stands for, and for itself. */
function closureWith(key: string, { level, log, from, closure }: Footer): Closure {
  return level === 0 ? Closure.of([{ log, from }], []) : Closure.union([closure, Closure.of([], [key])]);
}

function coverOf(closure: Closure, inputs: readonly CompactionInput[], floors: ReadonlyMap<string, Position>): LogCover {
  const cover = new Map<string, Position>();
  for (const log of closure.levelZero.keys()) {
    const known = [floors.get(log) ?? 0, ...inputs.map(({ footer }) => footer.cover.get(log) ?? 0)];
    cover.set(log, Math.max(...known));
  }
  return cover;
}
