import { distributorProtocol } from '../../actors/protocol/ingest.ts';
import { type FrontendAsk, type FrontendReply, frontendProtocol } from '../../actors/protocol/query.ts';
import { asFault } from '../../ops/base/fault.ts';
import { FAKE_START_MS, type FakeWorld, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { PowerCutFiles } from './power-cut-files.ts';
import { pushAsk } from './push-ask.ts';
import { SingleStore } from './single-store.ts';

export interface LaidEntry {
  readonly labels: Readonly<Record<string, string>>;
  readonly timeNs: bigint;
  readonly line: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a client sends at once. */
export type LaidPush = readonly LaidEntry[];

/** How the pushes come to lie: in which order they are sent, and what happens between them. */
export interface Layout {
  readonly name: string;
  readonly shards: number;
  /** Entries of one stream at one time may have come in another order than in other layouts. */
  readonly reordered?: boolean;
  lay(place: LaidStore, pushes: readonly LaidPush[]): Promise<void>;
}

const TENANT = 'fake';
/** Everything is compacted at once, but not of its own accord; segments are small, so that there are several. */
const COMPACTORS = { count: 2, compactionInterval: 365 * 86_400_000, levelZeroAge: 0, segmentSize: 4_000, filteredSize: 0 };
const GRACE_MS = 1_000_000;
/** Days after the data's. */
const LATER_MS = FAKE_START_MS + 10 * 86_400_000;

/** A store that can be stopped and started over what it wrote. */
export class LaidStore {
  readonly #shards: number;
  readonly #seed: number;
  readonly #files: PowerCutFiles;
  #world: FakeWorld;
  #store: SingleStore;
  #pushed = 0;
  #stopping = false;
  #background: Promise<void> | undefined;

  private constructor(shards: number, seed: number, files: PowerCutFiles, { world, store }: Started) {
    this.#shards = shards;
    this.#seed = seed;
    this.#world = world;
    this.#files = files;
    this.#store = store;
  }

  static async open(shards: number, seed: number): Promise<LaidStore> {
    const files = new PowerCutFiles();
    return new LaidStore(shards, seed, files, await started(shards, seed, files));
  }

  async push(push: LaidPush, tenant = TENANT): Promise<void> {
    const streams = push.map(({ labels, timeNs, line, metadata }) => ({ stream: labels, values: [[String(timeNs), line, metadata]] }));
    const ask = pushAsk(streams);
    const { fault } = await this.#store.system.ask(distributorProtocol, String(this.#pushed++ % this.#shards), ask, forTenant(tenant));
    if (fault !== undefined) throw new Error(fault.message);
  }

  async pushAll(pushes: readonly LaidPush[]): Promise<void> {
    for (const push of pushes) await this.push(push);
  }

  flush(): Promise<void> {
    return this.#store.flush();
  }

  /** Compacts what there is to the last, and goes on to when what was merged may be deleted. Returns how many segments were made and objects deleted. */
  async compact(instance = '0'): Promise<{ compacted: number; deleted: number }> {
    const { compacted } = await this.#store.compact(instance);
    await this.#world.advance(GRACE_MS);
    const { deleted, ...more } = await this.#store.compact(instance);
    return { compacted: compacted + more.compacted, deleted };
  }

  /** As `compact`, by two compactors that know nothing of each other, and without waiting until anything may be deleted. */
  async compactTwice(): Promise<void> {
    await Promise.all([this.#store.compact('0'), this.#store.compact('1')]);
  }

  /** Runs `work` again and again, beside the questions that follow, until the store stops. */
  inBackground(work: () => Promise<void>): void {
    this.#background = (async () => {
      while (!this.#stopping) await work();
    })();
  }

  advance(ms: number): Promise<void> {
    return this.#world.advance(ms);
  }

  /** The process ends, and another one takes over its files. */
  async restart(): Promise<void> {
    await this.stop();
    this.#stopping = false;
    const { world, store } = await started(this.#shards, this.#seed + 1, this.#files, this.#world.clock.nowMs());
    this.#world = world;
    this.#store = store;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#background;
    let stopped = false;
    const stopping = this.#store.system.stop().finally(() => {
      stopped = true;
    });
    while (!stopped) await this.#world.advance(100);
    await stopping;
  }

  /** The body of the answer. */
  async body(ask: FrontendAsk): Promise<unknown> {
    const reply = await this.#store.system.ask<FrontendAsk, FrontendReply, FrontendAsk['kind']>(
      frontendProtocol,
      '0',
      ask,
      forTenant(TENANT),
    );
    return JSON.parse(Buffer.concat(reply.body).toString());
  }

  /** The answer, or the fault that stands for it. */
  async ask<K extends 'range' | 'instant'>(ask: Extract<FrontendAsk, { kind: K }> & { kind: K }): Promise<Answer> {
    try {
      const reply = await this.#store.system.ask<FrontendAsk, FrontendReply, K>(frontendProtocol, '0', ask, forTenant(TENANT));
      return JSON.parse(Buffer.concat(reply.body).toString()).data;
    } catch (error) {
      return { resultType: 'fault', result: asFault(error).code };
    }
  }
}

export type Answer =
  | { readonly resultType: 'fault'; readonly result: string }
  | { readonly resultType: 'scalar'; readonly result: [time: number, value: string] }
  | { readonly resultType: 'streams'; readonly result: { stream: Record<string, string>; values: [time: string, line: string][] }[] }
  | { readonly resultType: 'vector'; readonly result: { metric: Record<string, string>; value: [time: number, value: string] }[] }
  | { readonly resultType: 'matrix'; readonly result: { metric: Record<string, string>; values: [time: number, value: string][] }[] };

function forTenant(tenant: string) {
  return { tenant, deadlineMs: Number.POSITIVE_INFINITY };
}

interface Started {
  readonly world: FakeWorld;
  readonly store: SingleStore;
}

async function started(shards: number, seed: number, files: PowerCutFiles, startMs = LATER_MS): Promise<Started> {
  const world = fakeWorld(seed, files, startMs);
  files.clock = world.clock;
  const store = await SingleStore.boot(world, { shards, compactors: COMPACTORS, limits: { maxQueryLength: 0 } });
  while (!(await store.ready())) await world.settle();
  return { world, store };
}

const halves = (pushes: readonly LaidPush[]): [LaidPush[], LaidPush[]] => {
  const middle = pushes.length >> 1;
  return [pushes.slice(0, middle), pushes.slice(middle)];
};

/** The first is what the others are compared with. */
export const LAYOUTS: readonly Layout[] = [
  { name: 'in heads', shards: 1, lay: (store, pushes) => store.pushAll(pushes) },
  {
    name: 'in one object',
    shards: 1,
    async lay(store, pushes) {
      await store.pushAll(pushes);
      await store.flush();
    },
  },
  {
    name: 'an object for each push',
    shards: 1,
    async lay(store, pushes) {
      for (const push of pushes) {
        await store.push(push);
        await store.flush();
      }
    },
  },
  {
    name: 'half in an object, half in heads, two shards',
    shards: 2,
    async lay(store, pushes) {
      const [first, second] = halves(pushes);
      await store.pushAll(first);
      await store.flush();
      await store.pushAll(second);
    },
  },
  {
    name: 'every push twice, a flush between, three shards',
    shards: 3,
    async lay(store, pushes) {
      for (const push of pushes) {
        await store.push(push);
        await store.flush();
        await store.push(push);
      }
    },
  },
  {
    name: 'everything again over an object',
    shards: 1,
    async lay(store, pushes) {
      await store.pushAll(pushes);
      await store.flush();
      await store.pushAll(pushes);
    },
  },
  { name: 'in heads, three shards', shards: 3, lay: (store, pushes) => store.pushAll(pushes) },
  {
    name: 'a restart in the middle, two shards',
    shards: 2,
    async lay(store, pushes) {
      const [first, second] = halves(pushes);
      const [early, late] = halves(first);
      await store.pushAll(early);
      await store.flush();
      await store.pushAll(late);
      await store.restart();
      await store.pushAll(second);
    },
  },
  {
    name: 'in segments, two shards',
    shards: 2,
    async lay(store, pushes) {
      for (const push of pushes) {
        await store.push(push);
        await store.flush();
      }
      await store.compact();
    },
  },
  {
    name: 'every push twice, compacted again and again',
    shards: 1,
    async lay(store, pushes) {
      for (const [index, push] of pushes.entries()) {
        await store.push(push);
        await store.flush();
        await store.push(push);
        if (index % 3 === 0) await store.compact();
      }
      await store.flush();
      await store.compact();
    },
  },
  {
    name: 'some in segments, some of what they were made from still there, some in objects, some in heads, two compactors',
    shards: 2,
    async lay(store, pushes) {
      const [first, second] = halves(pushes);
      const [early, late] = halves(first);
      for (const push of early) {
        await store.push(push);
        await store.flush();
      }
      await store.compact();
      await store.pushAll(late);
      await store.flush();
      await store.compactTwice();
      await store.restart();
      const [objects, heads] = halves(second);
      await store.pushAll(objects);
      await store.flush();
      await store.pushAll(heads);
    },
  },
  {
    name: 'while everything is pushed again, flushed, compacted by two and deleted, two shards',
    shards: 2,
    async lay(store, pushes) {
      for (const push of pushes) {
        await store.push(push);
        await store.flush();
      }
      let next = 0;
      store.inBackground(async () => {
        await store.push(pushes[next++ % pushes.length]);
        await store.flush();
        await store.compactTwice();
        await store.advance(GRACE_MS / 3);
      });
    },
  },
  {
    name: 'the last push first, in heads',
    shards: 1,
    reordered: true,
    lay: (store, pushes) => store.pushAll(pushes.toReversed()),
  },
  {
    name: 'the last push first, in objects, two shards',
    shards: 2,
    reordered: true,
    async lay(store, pushes) {
      for (const push of pushes.toReversed()) {
        await store.push(push);
        await store.flush();
      }
    },
  },
];

const HOUR_NS = 3_600_000_000_000n;
/** 23:00 UTC: the data goes on over midnight. */
export const DATA_START_NS = 482_111n * HOUR_NS;
export const DATA_END_NS = DATA_START_NS + 3n * HOUR_NS;

const FORMATS = ['json', 'logfmt', 'plain'] as const;

/** Pushes of several streams, from a seed: equal times within and across streams, exact duplicates, late entries, times at and beside the borders of hours
 *  and of a day. Sums of their values are exact. */
export function generateData(seed: number): LaidPush[] {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)];
  const streams = Array.from({ length: 5 + below(36) }, (_, number) => ({
    labels: { app: `app-${below(4)}`, format: pick(FORMATS), pod: `pod-${number % 7}`, n: String(number) },
    busy: random.next(),
  }));
  const borders = [1n, 2n].flatMap((hour) => [-1n, 0n, 1n].map((ns) => DATA_START_NS + hour * HOUR_NS + ns));
  const shared = Array.from({ length: 12 }, () => DATA_START_NS + BigInt(below(10_800)) * 1_000_000_000n);
  const entries: LaidEntry[] = [];
  for (const { labels, busy } of streams) {
    for (let left = 2 + below(2 + 30 * busy); left > 0; left--) {
      const anywhere = DATA_START_NS + BigInt(below(10_800)) * 1_000_000_000n + BigInt(below(1e9));
      const timeNs = pick([anywhere, anywhere, pick(shared), pick(borders)]);
      const metadata = { ...(below(2) ? { trace: `t${below(3)}` } : {}), ...(below(5) ? {} : { pod: 'shadow' }) };
      const entry = { labels, timeNs, line: lineOf(labels.format, below), metadata };
      entries.push(entry);
      // The same entry once more; another line at its time; its line without its metadata.
      if (below(8) === 0) entries.push(entry);
      if (below(6) === 0) entries.push({ ...entry, line: lineOf(labels.format, below) });
      if (below(12) === 0) entries.push({ ...entry, metadata: {} });
    }
  }
  // About in the order of time, as clients send, with some that are late.
  const lateNs = (): bigint => (below(6) === 0 ? BigInt(below(10_800)) * 1_000_000_000n : 0n);
  const sent = entries.map((entry) => ({ entry, at: entry.timeNs + lateNs() })).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const pushes: LaidEntry[][] = [];
  for (let from = 0; from < sent.length; ) {
    const to = from + 1 + below(40);
    pushes.push(sent.slice(from, to).map(({ entry }) => entry));
    from = to;
  }
  return pushes;
}

function lineOf(format: (typeof FORMATS)[number], below: (limit: number) => number): string {
  const level = ['info', 'warn', 'error', 'debug'][below(4)];
  const ms = below(400) / 4;
  const path = ['/', '/login', '/cart'][below(3)];
  if (format === 'json') return JSON.stringify({ level, ms, path, user: { id: below(4) } });
  if (format === 'logfmt') return `level=${level} ms=${ms} path=${path} msg="took ${below(3)} turns"`;
  return `${level.toUpperCase()} ${path} took ${ms} ms${below(3) ? '' : ' é🦊'}`;
}
