import { Fault } from '../../ops/base/fault.ts';
import type { Timers } from '../../ops/base/world.ts';
import type { LogPlace, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import type { TailedPlace } from '../protocol/tail.ts';
import type { Arrived, Feed, TailedLogs } from './tailed-logs.ts';

/** Who read records that did not come has so long to send them; where it is gone, nobody will. */
const HOLE_MS = 15_000;

interface Span {
  readonly from: number;
  readonly to: number;
}

/** How far one log is. */
interface Reached {
  /** Everything below it has come. */
  position: number;
  /** Somebody reads it who said where the tail begins. */
  readonly isRead: boolean;
  /** What has come beyond, ascending: an owner was faster than the one before it. */
  ahead: Span[];
  passed: number;
  cancel: (() => void) | undefined;
}

/** Logs of which each has one owner after the other, who begins anew with what is not in storage: of each record it is told whether it came before, whoever sent it. While a log has no owner
 *  nothing of it comes, and nothing is missed. */
export class SharedLogs implements TailedLogs {
  readonly #timers: Timers;
  readonly #fail: (fault: Fault) => void;
  readonly #logs = new Map<string, Reached>();
  /** Asked before anything was known: they begin where each of them is. Nothing arrives before all of them have begun. */
  readonly #beginning = new Set<Feed>();

  /** `fail` is told when records will not come any more. */
  constructor(resume: readonly TailedPlace[], timers: Timers, fail: (fault: Fault) => void) {
    this.#timers = timers;
    this.#fail = fail;
    for (const { log, position } of resume) this.#begin(log, position, true);
  }

  places(): readonly TailedPlace[] {
    return [...this.#logs].map(([log, { passed }]) => ({ ingester: '', log, position: passed }));
  }

  resumption(feed: Feed): readonly LogPlace[] | undefined {
    if (this.#logs.size === 0) {
      this.#beginning.add(feed);
      return undefined;
    }
    this.#beginning.delete(feed);
    return [...this.#logs].map(([log, { position }]) => ({ log, position }));
  }

  /** Whoever reads a log says where it begins, which may be before or behind where others have seen its end; of two who do the first one has to be heard to where the other begins. Where nobody does, all
   *  that was acknowledged is before the last end that anybody has seen. */
  begun(feed: Feed, { places, ends }: TailBegun): void {
    if (!this.#beginning.delete(feed)) return;
    for (const { log, position } of places) {
      const reached = this.#logs.get(log);
      this.#begin(log, reached?.isRead ? Math.min(reached.position, position) : position, true);
    }
    for (const { log, position } of ends) {
      const reached = this.#logs.get(log);
      if (!reached?.isRead) this.#begin(log, Math.max(reached?.position ?? 0, position), false);
    }
  }

  arrived(_: Feed, { from, next: { log, position: to }, batches, positions, missed }: TailedBatches): Arrived {
    // One that was not there when the tail began.
    const reached = this.#logs.get(log) ?? this.#begin(log, 0, true);
    const isNew = (position: number): boolean =>
      position >= reached.position && !reached.ahead.some((span) => position >= span.from && position < span.to);
    const fresh = batches.filter((_batch, at) => isNew(positions[at]));
    this.#extend(reached, { from, to }, log);
    return { batches: fresh, missed, place: { ingester: '', log, position: reached.position } };
  }

  passed({ place: { log, position } }: Arrived): void {
    this.#logs.get(log)!.passed = position;
  }

  lost(): void {}

  over(feed: Feed): void {
    this.#beginning.delete(feed);
  }

  isOpen(feeds: readonly Feed[]): boolean {
    const wanted = feeds.filter(({ isWanted }) => isWanted);
    return wanted.some(({ state }) => state === 'open') && wanted.every(({ state }) => state !== 'opening');
  }

  isShort(feeds: readonly Feed[]): boolean {
    return feeds.every(({ isWanted, state }) => !isWanted || state === 'away');
  }

  #begin(log: string, position: number, isRead: boolean): Reached {
    const reached: Reached = { position, isRead, ahead: [], passed: position, cancel: undefined };
    this.#logs.set(log, reached);
    return reached;
  }

  #extend(reached: Reached, span: Span, log: string): void {
    const before = reached.position;
    if (span.to > before) reached.ahead = merged([...reached.ahead, span]);
    while (reached.ahead.length > 0 && reached.ahead[0].from <= reached.position)
      reached.position = Math.max(reached.position, reached.ahead.shift()!.to);
    if (reached.position > before || reached.ahead.length === 0) {
      reached.cancel?.();
      reached.cancel = undefined;
    }
    if (reached.ahead.length > 0) reached.cancel ??= this.#timers.after(HOLE_MS, () => this.#missed(reached, log));
  }

  #missed({ position, ahead: [{ from }] }: Reached, log: string): void {
    // Whoever goes on from there misses them too.
    this.#fail(new Fault('not_found', `records ${position} to ${from - 1} of ${log} were read by an ingester that has not sent them`));
  }

  close(): void {
    for (const { cancel } of this.#logs.values()) cancel?.();
  }
}

/** Without overlaps, ascending. */
function merged(spans: readonly Span[]): Span[] {
  const whole: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = whole.at(-1);
    if (last !== undefined && span.from <= last.to) whole[whole.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else whole.push(span);
  }
  return whole;
}
