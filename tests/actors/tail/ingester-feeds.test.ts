import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ingesters } from '../../../actors/ingesters.ts';
import type { Messenger } from '../../../actors/kernel/define.ts';
import type { IngesterAsk, MissedEntries, TailBegun, TailedBatches } from '../../../actors/protocol/ingest.ts';
import type { TailedPlace } from '../../../actors/protocol/tail.ts';
import { IngesterFeeds } from '../../../actors/tail/ingester-feeds.ts';
import { REMEMBERED } from '../../../actors/tail/recent.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault, numbers } from '../../support/checks.ts';

type TailAsk = Extract<IngesterAsk, { kind: 'tail' }>;

/** An ingester instance that the test speaks for. */
class FakeIngester {
  /** What each tail asked, in order. */
  readonly asked: TailAsk[] = [];
  /** What a tail is told that begins. */
  refusal: Fault | undefined;
  /** It says nothing before that. */
  answers: Promise<void> = Promise.resolve();
  answer = (): void => {};
  position = 0;
  #send: (part: TailedBatches | Fault) => void = () => {};

  send(batches: readonly string[], missed: readonly MissedEntries[] = []): void {
    const from = this.position++;
    const positions = batches.map(() => from);
    this.#send({ kind: 'batches', from, next: this.#place, batches: batches.map((text) => Buffer.from(text)), positions, missed });
  }

  fail(refusal: Fault | undefined): void {
    this.refusal = refusal;
    this.#send(gone);
  }

  get #place() {
    return { log: 'log', position: this.position };
  }

  async *listen(ask: TailAsk, signal: AbortSignal): AsyncGenerator<TailBegun | TailedBatches> {
    this.asked.push(ask);
    await this.answers;
    if (this.refusal !== undefined) throw this.refusal;
    const sent: (TailedBatches | Fault)[] = [];
    let wake = (): void => {};
    this.#send = (part) => {
      sent.push(part);
      wake();
    };
    signal.addEventListener('abort', () => wake());
    yield { kind: 'begun', places: ask.resume ?? [this.#place], ends: [] };
    for (;;) {
      while (sent.length === 0 && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
      signal.throwIfAborted();
      const part = sent.shift()!;
      if (part instanceof Fault) throw part;
      yield part;
    }
  }
}

const gone = new Fault('unavailable', 'it is gone');

/** Feeds of three groups, one instance each; of any entry a group may be away. */
function rig({
  names = ['a', 'b', 'c'],
  resume = [] as TailedPlace[],
  away = [] as string[],
  slow = [] as string[],
  refusal = gone,
  shards = 1,
} = {}) {
  const world = fakeWorld(1);
  const all = new Map<string, FakeIngester>();
  const ingester = (name: string): FakeIngester => {
    const known = all.get(name) ?? new FakeIngester();
    all.set(name, known);
    return known;
  };
  for (const name of away) ingester(name).refusal = refusal;
  for (const name of slow) ingester(name).answers = new Promise((resolve) => (ingester(name).answer = resolve));
  let there = names;
  let changed = (): void => {};
  const ingesters: Ingesters = {
    replicasOf: () => [],
    quorum: 2,
    copies: 3,
    unknown: () => [],
    tolerated: 1,
    shareLogs: false,
    groups: () =>
      there.map((name) => ({ name, instances: Array.from({ length: shards }, (_, shard) => (shards === 1 ? name : `${name}-${shard}`)) })),
    onChange: (action) => {
      changed = action;
      return { close: () => (changed = () => {}) };
    },
  };
  const messenger = {
    stream: (_: unknown, instance: string, ask: TailAsk, { signal }: { signal: AbortSignal }) => ingester(instance).listen(ask, signal),
  } as unknown as Messenger;
  const options = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };
  const shard = { index: 1, of: 2 };
  const feeds = new IngesterFeeds({ messenger, world, ingesters, matchers: [], shard, resume, options });
  const come: string[] = [];
  const missed: MissedEntries[] = [];
  let ended: Fault | undefined;
  const read = async (): Promise<void> => {
    for (;;) {
      const arrived = await feeds.next();
      come.push(...arrived.batches.map((batch) => Buffer.from(batch).toString()));
      missed.push(...arrived.missed);
      feeds.passed(arrived);
    }
  };
  return {
    world,
    feeds,
    ingester,
    come,
    missed,
    ended: () => ended,
    names: () => [...all.keys()],
    change(now: string[]) {
      there = now;
      changed();
    },
    async open() {
      await feeds.opened();
      read().catch((error) => {
        ended = error;
      });
    },
  };
}

test('what three ingesters send comes once, and where to resume says how far each is', async () => {
  const { open, ingester, come, feeds, world } = rig();
  await open();
  ingester('a').send(['one', 'two']);
  await world.settle();
  ingester('c').send(['one']);
  ingester('b').send(['two', 'three', 'three']);
  await world.settle();
  assert.deepEqual(come, ['one', 'two', 'three']);
  assert.deepEqual(feeds.places.map(({ ingester: name, position }) => `${name} ${position}`).sort(), ['a 1', 'b 1', 'c 1']);
  assert.deepEqual(ingester('a').asked, [{ kind: 'tail', matchers: [], shard: { index: 1, of: 2 } }]);
});

test('it begins with one group away, and not with two', async () => {
  const one = rig({ away: ['b'] });
  await one.open();
  one.ingester('a').send(['one']);
  await one.world.settle();
  assert.deepEqual(one.come, ['one']);
  await assert.rejects(rig({ away: ['b', 'c'] }).open(), isFault('unavailable'));
});

test('a group that fails is no end, and goes on where it was when it is back', async () => {
  const { open, ingester, come, world, ended } = rig();
  await open();
  ingester('a').send(['one']);
  await world.settle();
  ingester('a').fail(gone);
  await world.advance(20_000);
  ingester('b').send(['two']);
  ingester('a').refusal = undefined;
  await world.advance(3_000);
  assert.deepEqual(ingester('a').asked.at(-1)?.resume, [{ log: 'log', position: 1 }]);
  ingester('a').send(['two', 'three']);
  await world.settle();
  ingester('b').fail(gone);
  await world.advance(3_000);
  assert.deepEqual([come, ended()], [['one', 'two', 'three'], undefined]);
});

test('a group that comes back when more came than is remembered goes on from now', async () => {
  const { open, ingester, world, come } = rig();
  await open();
  ingester('a').fail(gone);
  ingester('b').send(numbers(REMEMBERED + 1).map(String));
  await world.advance(3_000);
  ingester('a').refusal = undefined;
  ingester('a').position = 5;
  await world.advance(3_000);
  assert.equal(come.length, REMEMBERED + 1);
  assert.equal(ingester('a').asked.at(-1)?.resume, undefined);
});

test('two groups away are the end, with the place of each', async () => {
  const { open, ingester, feeds, world, ended } = rig();
  await open();
  for (const name of ['a', 'b']) ingester(name).send([name]);
  await world.settle();
  for (const name of ['a', 'b']) ingester(name).fail(gone);
  await world.settle();
  assert.ok(isFault('unavailable')(ended()));
  const { places } = feeds;
  const again = rig({ resume: [...places] });
  await again.open();
  assert.deepEqual(again.ingester('a').asked[0].resume, [{ log: 'log', position: 1 }]);
  assert.deepEqual(again.ingester('c').asked[0].resume, [{ log: 'log', position: 0 }]);
});

test('a log that does not reach back is left out by one, not by two', async () => {
  const refusal = new Fault('not_found', 'it is trimmed');
  const resume = ['a', 'b', 'c'].map((ingester): TailedPlace => ({ ingester, log: 'log', position: 0 }));
  const { open, ingester, world } = rig({ resume, away: ['a'], refusal });
  await open();
  ingester('a').refusal = undefined;
  await world.advance(3_000);
  assert.deepEqual(
    ingester('a').asked.map((ask) => ask.resume?.[0].position),
    [0, undefined],
  );
  await assert.rejects(rig({ resume, away: ['a', 'b'], refusal }).open(), isFault('not_found'));
});

test('two logs that do not reach back, one after the other, are the end', async () => {
  const refusal = new Fault('not_found', 'it is trimmed');
  const resume = ['a', 'b', 'c'].map((ingester): TailedPlace => ({ ingester, log: 'log', position: 0 }));
  const { open, ingester, world, ended } = rig({ resume, away: ['a', 'b'], refusal, slow: ['b'] });
  const opening = open();
  await world.settle();
  ingester('a').refusal = undefined;
  await world.advance(3_000);
  await opening;
  ingester('b').answer();
  await world.settle();
  assert.ok(isFault('not_found')(ended()), String(ended()));
});

test('instances that come are followed, and of those that went only what they still say', async () => {
  const { open, ingester, come, change, world, ended } = rig();
  await open();
  change(['b', 'c', 'd']);
  await world.settle();
  for (const name of ['a', 'd']) ingester(name).send([name]);
  await world.settle();
  assert.deepEqual(come, ['a', 'd']);
  ingester('a').fail(gone);
  ingester('b').fail(gone);
  await world.advance(60_000);
  assert.equal(ingester('a').asked.length, 1);
  assert.ok(ingester('b').asked.length > 5);
  assert.equal(ended(), undefined);
});

test('of a process with as many shards, only the one that has the streams is asked', async () => {
  for (const [shards, asked] of [
    [2, ['a-1', 'b-1']],
    [3, ['a-0', 'a-1', 'a-2', 'b-0', 'b-1', 'b-2']],
  ] as const) {
    const { open, names } = rig({ names: ['a', 'b'], shards });
    await open();
    assert.deepEqual(names(), asked);
  }
});

test('what one group missed others sent; what two missed is told once', async () => {
  const { open, ingester, missed, world } = rig();
  await open();
  const of = (...timesNs: bigint[]): MissedEntries[] => [{ labels: '{app="a"}', timesNs }];
  ingester('a').send([], of(1n, 2n));
  await world.settle();
  assert.deepEqual(missed, []);
  ingester('a').send([], of(2n));
  ingester('b').send([], of(2n, 3n));
  await world.settle();
  ingester('c').send([], of(2n));
  await world.settle();
  assert.deepEqual(missed, of(2n));
});

test('a tail that is over asks nobody any more', async () => {
  const { open, ingester, feeds, change, names, world } = rig({ away: ['b'] });
  await open();
  ingester('a').send(['one']);
  await feeds.close();
  const asked = ingester('b').asked.length;
  change(['a', 'b', 'c', 'd']);
  await world.advance(60_000);
  assert.equal(ingester('b').asked.length, asked);
  assert.ok(!names().includes('d'));
});
