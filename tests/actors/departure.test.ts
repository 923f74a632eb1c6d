import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DepartureDeps } from '../../actors/departure.ts';
import type { Asker } from '../../actors/kernel/define.ts';
import { type IngesterAsk, type IngesterReply, ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { seededRandom } from '../../ops/base/world-fake.ts';
import { ClusterRig, lines, RECENT_OBJECTS_MS } from '../sim/cluster-rig.ts';
import { batchOf, HOUR_START_NS } from '../storage/chunk/rows.ts';
import { isFault, numbers } from '../support/checks.ts';

const OPTIONS = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };

test('one of its own zone takes what a process has, and its tokens; nothing is flushed, and nothing stays', async () => {
  const rig = await ClusterRig.start({ a1: 'a', b: 'b', c: 'c', a2: 'a' });
  await rig.push('b');
  await rig.drain('a1');
  assert.equal(rig.of('a1').member.state, 'LEFT');
  assert.match(rig.told.join('\n'), /^offer granted a2 \d+\nsealed: pushes are sent on a2\nhanded over a2 \d+ \d+\ntokens are moved a2$/);
  assert.deepEqual([await rig.owned('a1'), await rig.owned('a2')], [[], ['a1 2', 'a2 1']]);
  assert.equal(await rig.hasFlushed(), false);
  assert.deepEqual(await rig.logsOf('a1'), []);
  assert.deepEqual(await rig.found('a2'), lines);
  // Each line is still in two processes.
  rig.lose('b');
  assert.deepEqual(await rig.found('c'), lines);
});

test('without one of its zone two others take it, whichever of them fails then', async () => {
  for (const gone of ['b', 'c']) {
    const rig = await ClusterRig.start({ a: 'a', b: 'b', c: 'c' });
    await rig.push('b');
    await rig.drain('a');
    assert.match(rig.told.join('\n'), /sealed: pushes are sent on c b/);
    assert.deepEqual([await rig.owned('a'), await rig.owned('c')], [[], ['a 2', 'c 1']]);
    assert.equal(await rig.hasFlushed(), false);
    rig.lose(gone);
    assert.deepEqual(await rig.found(gone === 'b' ? 'c' : 'b'), lines);
  }
});

test('where too few take it, it is flushed, and every query knows of that before the process goes', async () => {
  const rig = await ClusterRig.start({ a: 'a', b: 'b', c: 'c' });
  await rig.push('b');
  await rig.found('b');
  await rig.drain('c');
  rig.told.length = 0;
  const beganMs = rig.world.clock.monotonicMs();
  await rig.soon(rig.of('a').member.drain());
  const tookMs = rig.world.clock.monotonicMs() - beganMs;
  assert.ok(tookMs >= RECENT_OBJECTS_MS, `it was gone after ${tookMs} ms, when a listing may have lacked its object`);
  assert.equal(rig.told.at(-1), 'not handed over: what is here will be flushed too few instances take what this one has');
  assert.equal(await rig.hasFlushed(), true);
  assert.deepEqual(await rig.owned('a'), []);
  assert.deepEqual(await rig.found('b'), lines);
});

test('a taker that is lost meanwhile: what it was given is flushed as well', async () => {
  const rig = await ClusterRig.start({ b: 'b', c: 'c', a2: 'a' });
  const giver = await rig.start('a1', 'a', {
    departing: (right) => ({
      ...right,
      asker: {
        ask: (protocol, instance, ask, options) => {
          if ((ask.kind as string) === 'hand_over') rig.lose('a2');
          return right.asker.ask(protocol, instance, ask, options);
        },
      },
    }),
  });
  await rig.push('b');
  await rig.drain('a1');
  assert.equal(giver.member.state, 'LEFT');
  assert.match(rig.told.at(-1)!, /^not handed over/);
  assert.equal(await rig.hasFlushed(), true);
  assert.deepEqual(await rig.found('b'), lines);
});

test('who comes back under its name has nothing of what it had, and new tokens', async () => {
  const rig = await ClusterRig.start({ a1: 'a', b: 'b', c: 'c', a2: 'a' });
  await rig.push('b');
  await rig.drain('a1');
  await rig.soon(rig.of('a1').stop());
  rig.disks.set('a1', rig.disks.get('a1')!.crash('killed', seededRandom(1)));
  const again = await rig.start('a1', 'a');
  assert.deepEqual([await rig.owned('a1'), await rig.owned('a2')], [['a1/2 1'], ['a1 2', 'a2 1']]);
  assert.deepEqual(
    (await rig.soon(again.store.status())).map(({ replayedRecords }) => replayedRecords),
    [0, 0],
  );
  assert.deepEqual(await rig.found('a1'), lines);
});

test('a sealed shard sends pushes on; it refuses them where nobody takes them, also when it has begun anew', async () => {
  const rig = await ClusterRig.start({ a1: 'a', b: 'b', c: 'c', a2: 'a' });
  const { store } = rig.of('a1');
  const ask = <K extends IngesterAsk['kind']>(instance: string, asked: Extract<IngesterAsk, { kind: K }> & { kind: K }) =>
    rig.soon(store.system.ask<IngesterAsk, IngesterReply, K>(ingesterProtocol, instance, asked, OPTIONS));
  const batch = () => Buffer.from(batchOf([{ time: HOUR_START_NS, line: 'late', metadata: {} }], '{app="late"}').bytes);
  const rowsOf = async (instance: string) => {
    const whole = { fromNs: 0n, toNs: 2n ** 62n, shard: { index: 0, of: 1 }, known: [] };
    return (await ask(instance, { kind: 'select', matchers: [{ name: 'app', op: '=', value: 'late' }], ...whole })).streams.length;
  };
  assert.deepEqual(await ask('a1-0', { kind: 'seal', to: [{ process: 'a2', incarnation: rig.of('a2').incarnation, shards: 2 }] }), {
    wasSealed: false,
  });
  assert.deepEqual(await ask('a1-0', { kind: 'push', batches: [batch()] }), { acceptedLines: 1, acceptedBytes: 4, refusals: [] });
  assert.deepEqual([await rowsOf('a1-0'), (await rowsOf('a2-0')) + (await rowsOf('a2-1'))], [0, 1]);
  store.fail('ingester/a1-0');
  await rig.world.advance(10_000);
  assert.deepEqual(await ask('a1-0', { kind: 'seal', to: [] }), { wasSealed: true });
  await assert.rejects(ask('a1-0', { kind: 'push', batches: [batch()] }), isFault('unavailable'));
});

/** Pushes while one is handed over, and reads once the only other process that has that copy is gone. Returns how many lines are found. `departing`: of the one that leaves. */
async function foundOfPushedMeanwhile(departing: (right: DepartureDeps) => DepartureDeps): Promise<number> {
  const rig = await ClusterRig.start({ c: 'c', a2: 'a' });
  let latenessMs = 0;
  await rig.start('b', 'b', { readersLate: { timers: rig.world.timers, ms: () => latenessMs } });
  const goOn = Promise.withResolvers<void>();
  let isHandedOver = false;
  const stopping = (right: DepartureDeps): DepartureDeps => ({
    ...right,
    asker: {
      ask: async (protocol, instance, ask, options) => {
        const reply = await right.asker.ask(protocol, instance, ask, options);
        if ((ask.kind as string) !== 'hand_over') return reply;
        isHandedOver = true;
        await goOn.promise;
        return reply;
      },
    },
  });
  const giver = await rig.start('a1', 'a', { departing: (right) => departing(stopping(right)) });
  await rig.world.advance(1_000);
  latenessMs = 60_000; // who pushes has not heard that it leaves
  const left = giver.member.drain();
  await rig.when(() => isHandedOver);
  rig.lose('c');
  await rig.push('b');
  rig.regain('c');
  goOn.resolve();
  await rig.soon(left);
  rig.lose('b');
  await rig.world.advance(20_000);
  return (await rig.found('c')).length;
}

test('what is pushed to one that has handed over is with those that took over, unless it takes pushes still', async () => {
  assert.equal(await foundOfPushedMeanwhile((right) => right), lines.length);
  const unsealed = (right: DepartureDeps): DepartureDeps => {
    const { asker } = right;
    const lying: Asker = {
      ask: (protocol, instance, ask, options) =>
        (ask.kind as string) === 'seal' ? Promise.resolve({ wasSealed: true } as never) : asker.ask(protocol, instance, ask, options),
    };
    return { ...right, asker: lying };
  };
  assert.ok((await foundOfPushedMeanwhile(unsealed)) < lines.length);
});

test('what was acknowledged before is taken over beyond the limits of a tenant; offers are taken one at a time', async () => {
  const rig = await ClusterRig.start({ a1: 'a', b: 'b', c: 'c', a2: 'a' });
  const { system } = rig.of('a2').store;
  const giver = { process: 'a1', attempt: '1' };
  const many = numbers(80).map((number) => batchOf([{ time: HOUR_START_NS, line: 'x', metadata: {} }], `{app="app-${number}"}`).bytes);
  const batches = () => [Buffer.concat(many)];
  const pushed = await rig.soon(system.ask(ingesterProtocol, 'a2-0', { kind: 'push', batches: batches() }, OPTIONS));
  assert.equal(pushed.acceptedLines, 50);
  const offer = (from: string) =>
    rig.soon(system.ask(ingesterProtocol, 'a2-0', { kind: 'offer', giver: { process: from, attempt: '1' }, bytes: 0 }, OPTIONS));
  assert.deepEqual(await offer('a1'), { refusal: '' });
  assert.deepEqual(await offer('other'), { refusal: 'another handoff to it is under way' });
  await rig.soon(system.ask(ingesterProtocol, 'a2-0', { kind: 'take_over', giver, batches: batches() }, OPTIONS));
  const asked = { kind: 'series' as const, matcherSets: [[]], fromNs: 0n, toNs: 2n ** 62n, shard: { index: 0, of: 1 }, known: [] };
  const { labels } = await rig.soon(system.ask(ingesterProtocol, 'a2-0', asked, OPTIONS));
  assert.equal(labels.length, 80);
  await rig.soon(system.ask(ingesterProtocol, 'a2-0', { kind: 'end_offer', giver }, OPTIONS));
  assert.deepEqual(await offer('other'), { refusal: '' });
  await rig.soon(system.ask(ingesterProtocol, 'a2-0', { kind: 'seal', to: [] }, OPTIONS));
  assert.deepEqual(await offer('a1'), { refusal: 'it leaves the ring itself' });
});
