import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Replicator } from '../../../actors/distributor/replicate.ts';
import type { Ingesters } from '../../../actors/ingesters.ts';
import type { AskContext, Asker } from '../../../actors/kernel/define.ts';
import type { IngesterReply, StreamRefusal } from '../../../actors/protocol/ingest.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';

type Reply = IngesterReply['push'] | Fault | 'hangs';
const took: Reply = { acceptedLines: 0, acceptedBytes: 0, refusals: [] };
const away = new Fault('unavailable', 'away');
const refusal: StreamRefusal = {
  fault: new Fault('rate_limited', 'too many streams').toWire(),
  lines: 2,
  bytes: 20,
  reason: 'stream_limit',
};
const refuses: Reply = { acceptedLines: 0, acceptedBytes: 0, refusals: [refusal] };

/** Sends two batches, of two lines each, to ingesters that answer so; the second batch to all but the first of them, if there are four. */
async function send(replies: readonly Reply[], { quorum = 2, copies = 3 } = {}) {
  const world = fakeWorld(1);
  const names = replies.map((_, index) => `ingester-${index}`);
  const got: Record<string, string> = {};
  const counts = { sent: 0, failed: 0 };
  const ingesters: Ingesters = {
    replicasOf: (_, hash) =>
      (hash === 'first' ? names.slice(0, copies) : names.slice(-copies)).map((instance) => ({ instance, incarnation: `of ${instance}` })),
    quorum,
    copies,
    groups: () => [],
    unknown: () => [],
    tolerated: 1,
    shareLogs: false,
    onChange: () => ({ close: () => {} }),
  };
  const asker = {
    ask: async (_: unknown, instance: string, { batches }: { batches: Uint8Array[] }) => {
      got[instance] = Buffer.concat(batches).toString();
      const reply = replies[names.indexOf(instance)];
      if (reply === 'hangs') return new Promise(() => {});
      if (reply instanceof Fault) throw reply;
      return reply;
    },
  } as unknown as Asker;
  const context: AskContext = { tenant: 'a', deadlineMs: 60_000, signal: new AbortController().signal, trace: '', transferReply: () => {} };
  const batches = ['first', 'second'].map((hash) => ({ hash, bytes: Buffer.from(Buffer.alloc(5, hash)), rows: 2, contentBytes: 20 }));
  const outcome = await new Replicator(ingesters, asker, world).send(batches, context, {
    sent: () => counts.sent++,
    failed: () => counts.failed++,
  });
  return { outcome, got, counts };
}

const cases: [what: string, replies: Reply[], lines: number, refusals: number, isFault: boolean][] = [
  ['all take it', [took, took, took], 4, 0, false],
  ['two take it, the third is slow', [took, 'hangs', took], 4, 0, false],
  ['two take it, the third is away', [away, took, took], 4, 0, false],
  ['one takes it', [took, away, away], 0, 0, true],
  ['none takes it', [away, away, away], 0, 0, true],
  ['one refuses a stream', [refuses, took, took], 4, 0, false],
  ['two refuse a stream', [refuses, took, refuses], 2, 1, false],
  ['all refuse a stream', [refuses, refuses, refuses], 2, 1, false],
  ['four, of which each batch has three: one is without a quorum', [took, took, away, away], 2, 0, true],
];
for (const [what, replies, lines, refusals, isFault] of cases) {
  test(`copies: ${what}`, async () => {
    const { outcome } = await send(replies);
    assert.deepEqual([outcome.acceptedLines, outcome.acceptedBytes], [lines, lines * 10]);
    assert.equal(outcome.refusals.length, refusals);
    assert.equal(outcome.faults.length > 0, isFault);
  });
}

test('every replica gets the batches that it is to have, and copies are counted', async () => {
  const { got, counts } = await send([took, took, took, away]);
  assert.deepEqual(got, {
    'ingester-0': 'first',
    'ingester-1': 'firstsecon',
    'ingester-2': 'firstsecon',
    'ingester-3': 'secon',
  });
  assert.deepEqual(counts, { sent: 4, failed: 1 });
});

test('one copy is sent as it is', async () => {
  const { outcome, got } = await send([took, took], { quorum: 1, copies: 1 });
  assert.deepEqual(got, { 'ingester-0': 'first', 'ingester-1': 'secon' });
  assert.equal(outcome.acceptedLines, 4);
});

test('too few ingesters: refused before anything is sent', async () => {
  await assert.rejects(send([took]), { code: 'unavailable', message: '1 ingesters take what is new, at least 2 are needed' });
});
