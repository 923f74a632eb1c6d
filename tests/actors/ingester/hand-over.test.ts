import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handOver, sendOn } from '../../../actors/ingester/hand-over.ts';
import type { OwnLog } from '../../../actors/ingester/own-log.ts';
import type { AskContext, Asker } from '../../../actors/kernel/define.ts';
import type { IngesterAsk, IngesterReply, StreamRefusal } from '../../../actors/protocol/ingest.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { type Batch, batchesIn, shardOf } from '../../../storage/batch/batch.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
import { isFault, numbers } from '../../support/checks.ts';

type Record = readonly [tenant: string, batches: readonly Batch[]];

const batch = (app: string, line: string): Batch => batchOf([{ time: HOUR_START_NS, line, metadata: {} }], `{app="${app}"}`, 'tenant');

/** Hands records over to successors that answer as told; their batches are looked at as they come. */
function rig(records: readonly Record[], answer: (instance: string, attempt: number) => Promise<void> = async () => {}) {
  const world = fakeWorld(1);
  const log = {
    async *unstored() {
      yield* records.map(([tenant, batches]) => ({ tenant, batches }));
    },
  } as unknown as OwnLog;
  const got = new Map<string, string[]>();
  const attempts = new Map<string, number>();
  const bytes = { now: 0, most: 0 };
  const asker = {
    ask: async (
      _: unknown,
      instance: string,
      ask: Extract<IngesterAsk, { kind: 'take_over' | 'push' }>,
      { tenant }: { tenant: string },
    ) => {
      const attempt = (attempts.get(instance) ?? 0) + 1;
      attempts.set(instance, attempt);
      const size = ask.batches.reduce((sum, part) => sum + part.length, 0);
      bytes.now += size;
      bytes.most = Math.max(bytes.most, bytes.now);
      await world.timers.yield();
      bytes.now -= size;
      await answer(instance, attempt);
      const lines = ask.batches
        .flatMap((part) => [...batchesIn(part as Buffer)])
        .map((one) => `${tenant} ${one.lines().toString().slice(0, 20)}`);
      got.set(instance, [...(got.get(instance) ?? []), ...lines]);
      return {};
    },
  } as unknown as Asker;
  const ending = new AbortController();
  const to = [
    { process: 't', incarnation: 'of t', shards: 2 },
    { process: 'u', incarnation: 'of u', shards: 1 },
  ];
  const deps = { asker, world, giver: { process: 'g', attempt: '1' }, to, signal: ending.signal };
  return { world, got, bytes, attempts, ending, run: () => handOver([log, log], deps) };
}

test('every successor gets everything, by its own shards and by tenant', async () => {
  const [one, two, three, four] = ['one', 'two', 'three', 'four'].map((app) => batch(app, app));
  const { got, run } = rig([
    ['a', [one, two]],
    ['b', [three]],
    ['a', [four]],
  ]);
  const { entries } = await run();
  assert.equal(entries, 8);
  const all = ['a one', 'a two', 'a four', 'b three'];
  assert.deepEqual(got.get('u-0')?.toSorted(), [...all, ...all].sort());
  const shards = [0, 1].map((shard) =>
    [one, two, three, four].filter(({ hash }) => shardOf(hash, 2) === shard).map((own) => own.lines().toString()),
  );
  for (const [shard, lines] of shards.entries()) {
    assert.ok(lines.length > 0, 'a case without a shard that gets something proves less');
    assert.deepEqual(
      got
        .get(`t-${shard}`)
        ?.map((text) => text.split(' ')[1])
        .sort(),
      [...lines, ...lines].sort(),
    );
  }
});

test('not much is copied at once, however much there is', async () => {
  const records = numbers(200).map(
    (number): Record => [`tenant ${number % 90}`, [batch(`app ${number % 7}`, `${number} ${'x'.repeat(100_000)}`)]],
  );
  const { got, bytes, run } = rig(records);
  await run();
  assert.equal(got.get('u-0')?.length, 400);
  // To two successors.
  assert.ok(bytes.most < 2 * 2.2 * 1024 * 1024, `${bytes.most} bytes at once`);
});

test('who does not take it for a while is asked again; who never does is given up', async () => {
  const away = new Fault('unavailable', 'away');
  const slow = rig([['a', [batch('one', 'one')]]], async (instance, attempt) => {
    if (instance === 'u-0' && attempt < 5) throw away;
  });
  const handed = slow.run();
  await slow.world.advance(20_000);
  await handed;
  assert.deepEqual(slow.got.get('u-0'), ['a one', 'a one']);

  const gone = rig([['a', [batch('one', 'one')]]], async (instance) => {
    if (instance === 'u-0') throw away;
  });
  const given = assert.rejects(gone.run(), isFault('unavailable'));
  await gone.world.advance(60_000);
  await given;

  const refusing = rig([['a', [batch('one', 'one')]]], async () => {
    throw new Fault('unsupported', 'an older process');
  });
  await assert.rejects(refusing.run(), isFault('unsupported'));
});

test('a handoff that is given up asks nobody any more', async () => {
  const { world, attempts, ending, run } = rig([['a', [batch('one', 'one')]]], async () => {
    throw new Fault('unavailable', 'away');
  });
  const given = assert.rejects(run(), isFault('cancelled'));
  await world.advance(1_000);
  ending.abort(new Fault('cancelled', 'given up'));
  await given;
  const asked = attempts.get('u-0');
  await world.advance(10_000);
  assert.equal(attempts.get('u-0'), asked);
});

const refusal: StreamRefusal = {
  fault: new Fault('rate_limited', 'too many streams').toWire(),
  lines: 1,
  bytes: 4,
  reason: 'stream_limit',
};
const took = { acceptedLines: 1, acceptedBytes: 4, refusals: [] };
const refused = { acceptedLines: 0, acceptedBytes: 0, refusals: [refusal] };
const answers: [
  what: string,
  first: IngesterReply['push'] | Fault,
  second: IngesterReply['push'] | Fault,
  whole: IngesterReply['push'] | 'fails',
][] = [
  ['both take it', took, took, took],
  ['one refuses the stream', took, refused, refused],
  ['one is away', took, new Fault('unavailable', 'away'), 'fails'],
];
for (const [what, first, second, whole] of answers) {
  test(`a push that is sent on: ${what}`, async () => {
    const asker = {
      ask: async (_: unknown, instance: string) => {
        const reply = instance === 't-0' ? first : second;
        if (reply instanceof Fault) throw reply;
        return reply;
      },
    } as unknown as Asker;
    const context = { tenant: 'a', deadlineMs: 1_000, signal: new AbortController().signal, trace: '' } as AskContext;
    const to = ['t', 'u'].map((process) => ({ process, incarnation: `of ${process}`, shards: 1 }));
    const sent = sendOn([batch('one', 'line').bytes], to, asker, context);
    if (whole === 'fails') await assert.rejects(sent, isFault('unavailable'));
    else assert.deepEqual(await sent, whole);
  });
}
