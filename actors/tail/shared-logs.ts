import { Fault } from '../../ops/base/fault.ts';
import type { Timers } from '../../ops/base/world.ts';
import type { LogPlace, TailedBatches } from '../protocol/ingest.ts';
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
  /** Someone does not have any more what was to come. */
  #isBroken = false;

  /** `fail` is told when records will not come any more. */
  constructor(resume: readonly TailedPlace[], timers: Timers, fail: (fault: Fault) => void) {
    this.#timers = timers;
    this.#fail = fail;
    for (const { log, position } of resume) this.#begin(log, position);
  }

  places(): readonly TailedPlace[] {
    return [...this.#logs].map(([log, { passed }]) => ({ ingester: '', log, position: passed }));
  }

  resumption(feed: Feed): readonly LogPlace[] | undefined {
    if (this.#logs.size === 0) {
      this.#beginning.add(feed);
      return undefined;
    }
    return [...this.#logs].map(([log, { position }]) => ({ log, position }));
  }

  begun(feed: Feed, places: readonly LogPlace[]): void {
    const isFromNow = this.#beginning.delete(feed);
    for (const { log, position } of places) {
      const reached = this.#logs.get(log);
      if (reached === undefined) this.#begin(log, position);
      // Whoever owns a log may be behind its end, which others tell.
      else if (isFromNow && position < reached.position) reached.position = reached.passed = position;
    }
  }

  arrived(_: Feed, { from, next: { log, position: to }, batches, positions, missed }: TailedBatches): Arrived {
    const reached = this.#logs.get(log) ?? this.#begin(log, from);
    const isNew = (position: number): boolean =>
      position >= reached.position && !reached.ahead.some((span) => position >= span.from && position < span.to);
    const fresh = batches.filter((_batch, at) => isNew(positions[at]));
    this.#extend(reached, { from, to }, log);
    return { batches: fresh, missed, place: { ingester: '', log, position: reached.position } };
  }

  passed({ place: { log, position } }: Arrived): void {
    this.#logs.get(log)!.passed = position;
  }

  lost(_: Feed, { code }: Fault): void {
    if (code === 'not_found') this.#isBroken = true;
  }

  over(feed: Feed): void {
    this.#beginning.delete(feed);
  }

  isOpen(feeds: readonly Feed[]): boolean {
    const wanted = feeds.filter(({ isWanted }) => isWanted);
    return wanted.some(({ state }) => state === 'open') && wanted.every(({ state }) => state !== 'opening');
  }

  isShort(feeds: readonly Feed[]): boolean {
    return this.#isBroken || feeds.every(({ isWanted, state }) => !isWanted || state === 'away');
  }

  #begin(log: string, position: number): Reached {
    const reached: Reached = { position, ahead: [], passed: position, cancel: undefined };
    this.#logs.set(log, reached);
    return reached;
  }

  #extend(reached: Reached, span: Span, log: string): void {
    if (span.to > reached.position && span.from < span.to) reached.ahead = merged([...reached.ahead, span]);
    while (reached.ahead.length > 0 && reached.ahead[0].from <= reached.position)
      reached.position = Math.max(reached.position, reached.ahead.shift()!.to);
    if (reached.ahead.length === 0) {
      reached.cancel?.();
      reached.cancel = undefined;
    } else reached.cancel ??= this.#timers.after(HOLE_MS, () => this.#missed(reached, log));
  }

  #missed({ position, ahead: [{ from }] }: Reached, log: string): void {
    this.#fail(new Fault('unavailable', `records ${position} to ${from - 1} of ${log} were read by an ingester that has not sent them`));
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
