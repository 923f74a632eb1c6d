import { decodeLogFrame, type FrameEntry } from '../../logql/engine/log-frame.ts';
import { type DroppedEntry, renderTail, type TailEntry } from '../../logql/engine/render-tail.ts';
import { KiB, MiB } from '../../ops/base/bytes.ts';
import { asFault, Fault } from '../../ops/base/fault.ts';
import type { Counter } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { Bell } from '../bell.ts';
import { type AskContext, type AskOptions, askOptions, type Messenger } from '../kernel/define.ts';
import type { StreamShard } from '../protocol/ingest.ts';
import {
  type TailedEntries,
  type TailedPlace,
  type TailerAsk,
  type TailFrontendAsk,
  type TailMessage,
  tailerProtocol,
} from '../protocol/tail.ts';
import { Dropped } from './dropped.ts';
import { Seen } from './seen.ts';
import { TailBuffer } from './tail-buffer.ts';
import type { Tailers } from './tailers.ts';

export interface TailSessionDeps {
  readonly messenger: Messenger;
  readonly world: World;
  /** Each of those that it is divided among at its beginning has a shard; when one fails, who takes its place is asked anew. */
  readonly tailers: Tailers;
  /** How far in the future an entry may lie. */
  readonly aheadMs: number;
  readonly maxDurationMs: number;
  /** Counts the entries that the client was too slow for. */
  readonly droppedEntries: Counter;
}

/** What a tail holds for a client that is slow; see TailBuffer. */
const BUFFER_BYTES = 8 * MiB;
/** A message has no more than this. */
const MESSAGE_ENTRIES = 100;
const MESSAGE_BYTES = 256 * KiB;
const MESSAGE_DROPPED = 1_000;
/** A full buffer gets this long for the client to make room, once, before what comes is dropped. */
const ROOM_MS = 50;
/** A shard that fails is asked again for so long. */
const PATIENCE_MS = 60_000;
const BACKOFF_MS = { min: 100, max: 2_000 };

/** One tail: gathers what the shards send, each entry once, and gives it out in the order of time as the client takes it. */
export class TailSession {
  readonly #ask: TailFrontendAsk;
  readonly #deps: TailSessionDeps;
  readonly #options: AskOptions;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  readonly #bell = new Bell();
  readonly #buffer = new TailBuffer(BUFFER_BYTES);
  readonly #dropped = new Dropped();
  readonly #seen = new Seen();
  /** Those who wait for the client to make room. */
  readonly #roomWanted = new Set<() => void>();
  /** It made none the last time that somebody waited. */
  #stalled = false;
  #open = 0;
  /** Of the shards that have told it; undefined once all have. */
  #history: FrameEntry[][] | undefined = [];
  readonly #begun = Promise.withResolvers<void>();
  #failure: Fault | undefined;

  constructor(ask: TailFrontendAsk, asked: AskContext, deps: TailSessionDeps) {
    this.#ask = ask;
    this.#deps = deps;
    this.#signal = AbortSignal.any([asked.signal, this.#over.signal]);
    this.#options = { ...askOptions(asked), signal: this.#signal };
  }

  /** Ends only by throwing: the caller's reason, or why the tail cannot go on. */
  async *messages(): AsyncGenerator<TailMessage> {
    const { world, tailers, maxDurationMs } = this.#deps;
    const cancel = world.timers.after(maxDurationMs, () => this.#fail(new Fault('deadline', 'reached tail max duration limit')));
    let following: Promise<void>[] = [];
    try {
      const chosen = await tailers(this.#options);
      const of = chosen.length;
      following = chosen.map((tailer, index) => this.#follow(tailer, { index, of }).catch((error) => this.#fail(asFault(error))));
      while (this.#open < of) await this.#change();
      yield { body: new Uint8Array(0) };
      while (this.#history !== undefined) await this.#change();
      for (;;) yield { body: await this.#nextMessage() };
    } finally {
      cancel();
      this.#over.abort(new Fault('cancelled', 'the tail is over'));
      this.#begun.resolve();
      await Promise.all(following);
    }
  }

  async #nextMessage(): Promise<Uint8Array> {
    const { world } = this.#deps;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const dueNs = BigInt(Math.trunc(world.clock.nowMs() - this.#ask.delayMs)) * 1_000_000n;
      const parts = { entries: this.#buffer.take(dueNs, MESSAGE_ENTRIES, MESSAGE_BYTES), dropped: this.#dropped.take(MESSAGE_DROPPED) };
      this.#roomMade();
      if (parts.entries.length + parts.dropped.length > 0) {
        return renderTail(parts, this.#ask);
      }
      const nextNs = this.#buffer.nextNs();
      await this.#change(nextNs === undefined ? undefined : Number(nextNs - dueNs) / 1e6);
    }
  }

  /** Resolves when something came, or `withinMs` have gone by. */
  async #change(withinMs?: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const cancel = withinMs === undefined ? undefined : this.#deps.world.timers.after(withinMs, () => this.#bell.ring());
    try {
      await this.#bell.rung(this.#signal);
    } finally {
      cancel?.();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(fault: Fault): void {
    this.#failure ??= fault;
    this.#bell.ring();
  }

  /** Takes in what a shard sends, from where it was if it fails for a while. `first`: the tailer that is asked first. */
  async #follow(first: string, shard: StreamShard): Promise<void> {
    const { world, messenger } = this.#deps;
    let tailer: string | undefined = first;
    let place: readonly TailedPlace[] | undefined;
    let failingSinceMs: number | undefined;
    let backoffMs = BACKOFF_MS.min;
    for (;;) {
      try {
        tailer ??= await this.#anotherFor(shard);
        for await (const part of messenger.stream(tailerProtocol, tailer, this.#question(shard, place), this.#options)) {
          if (part.phase === 'open') {
            if (place === undefined) this.#open++;
          } else {
            await (part.phase === 'history' ? this.#addHistory(decodeLogFrame(part.frame), shard.of) : this.#addLive(part));
            place = part.next;
          }
          failingSinceMs = undefined;
          backoffMs = BACKOFF_MS.min;
          this.#bell.ring();
        }
        throw new Fault('unavailable', `tailer/${tailer} ended the tail`);
      } catch (error) {
        if (this.#signal.aborted) return;
        const fault = asFault(error);
        failingSinceMs ??= world.clock.monotonicMs();
        const waitedMs = world.clock.monotonicMs() - failingSinceMs;
        if (!fault.retry || place === undefined || waitedMs > PATIENCE_MS) throw fault;
        tailer = undefined;
        await world.timers.sleep(backoffMs * (0.5 + world.random.next() / 2), this.#signal).catch(() => {});
        backoffMs = Math.min(2 * backoffMs, BACKOFF_MS.max);
      }
    }
  }

  async #anotherFor({ index }: StreamShard): Promise<string> {
    const tailers = await this.#deps.tailers(this.#options);
    return tailers[index % tailers.length];
  }

  #question(shard: StreamShard, place: readonly TailedPlace[] | undefined): TailerAsk {
    const { query, startNs, limit, categorize, legacy } = this.#ask;
    const toNs = BigInt(Math.trunc(this.#deps.world.clock.nowMs() + this.#deps.aheadMs)) * 1_000_000n;
    const fromNs = startNs < toNs ? startNs : toNs;
    return { kind: 'tail', query, shard, fromNs, toNs, limit, categorize, legacy, ...(place && { resume: place }) };
  }

  /** The tail begins with the latest of what all shards have; resolves when they have told it. Live entries come after that, so that those which are in history
   *  too are known. */
  #addHistory(entries: FrameEntry[], shards: number): Promise<void> {
    this.#history?.push(entries);
    if (this.#history?.length === shards) {
      const latest = this.#history.flat().sort((a, b) => (a.timeNs === b.timeNs ? 0 : a.timeNs < b.timeNs ? 1 : -1));
      latest.length = Math.min(latest.length, this.#ask.limit);
      this.#seen.keep(latest);
      this.#buffer.begin(latest.reverse());
      this.#history = undefined;
      this.#begun.resolve();
    }
    return this.#begun.promise;
  }

  async #addLive({ frame, missed }: TailedEntries): Promise<void> {
    for (const arrived of frame.length === 0 ? [] : decodeLogFrame(frame)) {
      if (!this.#seen.isNew(arrived)) continue;
      const { timeNs, labels, text, value } = arrived;
      const entry: TailEntry = { timeNs, labels, text, value: new Uint8Array(value) }; // a copy: `value` keeps its whole frame in memory
      if (this.#buffer.full) await this.#room();
      if (!this.#buffer.add(entry)) this.#drop(entry);
    }
    for (const { labels: text, timesNs } of missed) {
      const labels = parseCanonicalLabels(text);
      for (const timeNs of timesNs) this.#drop({ timeNs, labels, text });
    }
  }

  #drop({ timeNs, labels, text }: DroppedEntry): void {
    this.#dropped.add({ timeNs, labels, text });
    this.#deps.droppedEntries.add(1);
  }

  /** Resolves when the client has taken something, or has not for so long that what comes is to be dropped. */
  #room(): Promise<void> {
    if (this.#stalled) return Promise.resolve();
    this.#bell.ring();
    return new Promise((resolve) => {
      const settle = (): void => {
        cancel();
        this.#roomWanted.delete(settle);
        resolve();
      };
      const cancel = this.#deps.world.timers.after(ROOM_MS, () => {
        this.#stalled = true;
        settle();
      });
      this.#roomWanted.add(settle);
    });
  }

  #roomMade(): void {
    this.#stalled = false;
    for (const settle of this.#roomWanted) settle();
  }
}
