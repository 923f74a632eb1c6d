import assert from 'node:assert/strict';
import { test } from 'node:test';
import { localIngesters } from '../../../actors/ingesters.ts';
import { querierProtocol } from '../../../actors/protocol/query.ts';
import type { GroupQueue } from '../../../actors/querier/group-queue.ts';
import { Sharing } from '../../../actors/querier/sharing.ts';
import type { GroupSkipper } from '../../../actors/querier/skip.ts';
import { SourceReader } from '../../../actors/querier/source-reader.ts';
import { MemoryBudget } from '../../../logql/engine/memory-budget.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { openFsBlobStore } from '../../../storage/blob/fs.ts';
import { isFault } from '../../support/checks.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore } from '../../support/single-store.ts';

const START_NS = 1_735_632_000_000_000_000n;
const ASKED = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };
const LINES = 60;

/** One stream in a dozen blocks. */
async function storeOfOneStream(): Promise<SingleStore> {
  const store = await SingleStore.bootReady({ shards: 2 });
  const line = (number: number) => `${number} ${'x'.repeat(200_000)}`;
  for (let number = 0; number < LINES; number += 10) {
    const numbers = Array.from({ length: 10 }, (_, index) => number + index);
    await store.push(numbers.map((one) => ({ labels: { app: 'a' }, timeNs: START_NS + BigInt(one), line: line(one) })));
  }
  await store.flush();
  return store;
}

test('queriers take over from each other what is left of a stream: each line counts once', async () => {
  const store = await storeOfOneStream();
  const endNs = START_NS + 1_000n;
  const jobs = ['0', '1'].map((instance, index) => {
    const help = { job: 'one', others: [instance === '0' ? '1' : '0'] };
    const times = { startNs: endNs, endNs, stepNs: 0 };
    const query = 'sum(count_over_time({app="a"} |= "x" [1h]))';
    return store.system.ask(querierProtocol, instance, { kind: 'samples', query, ...times, shard: { index, of: 2 }, help }, ASKED);
  });
  const matched = (await Promise.all(jobs)).map(({ stats }) => stats.matchedLines);
  assert.equal(matched[0] + matched[1], LINES);
  assert.ok(Math.min(...matched) >= 10, `${matched} lines`);
  assert.equal(await store.count('{app="a"} |= "x"'), LINES);
});

test('what a job spares is asked for before it has begun, while it scans, and when it is over', async () => {
  const sharing = new Sharing();
  const queue = { split: () => [] } as unknown as GroupQueue;
  const done = Promise.withResolvers<void>();
  const running = sharing.during('one', async (shared) => {
    shared.open(queue, {} as GroupSkipper);
    await done.promise;
    shared.close();
  });
  assert.deepEqual(await sharing.spare('one'), []);
  const early = Promise.withResolvers<void>();
  const unopened = sharing.during('two', () => early.promise);
  const spared = sharing.spare('two');
  early.resolve();
  assert.deepEqual(await spared, []);
  done.resolve();
  await Promise.all([running, unopened]);
  assert.deepEqual(await sharing.spare('one'), []);
});

test('a job whose object is gone starts over, but not once groups were exchanged', async () => {
  const world = fakeWorld(1, new PowerCutFiles());
  const blobs = await openFsBlobStore({ root: '/objects', world });
  const never = { ask: () => Promise.reject(new Error('asks nobody')) };
  const limits = { footerBytes: 1e6, maxListingAgeMs: 1e3, memory: new MemoryBudget(0), longJobs: 1 };
  const reader = new SourceReader({ asker: never, ingesters: localIngesters([]), blobs, ...limits }, world);
  const asked = { ...ASKED, signal: new AbortController().signal, trace: '', transferReply: () => {} };
  for (const isMixed of [false, true]) {
    let runs = 0;
    const work = new Sharing().during('one', (shared) => {
      const job = async () => {
        shared.isMixed = isMixed;
        if (runs++ === 0) throw new Fault('not_found', 'gone');
        return 'answer';
      };
      return reader.planned(asked, 0, job, shared);
    });
    if (isMixed) await assert.rejects(work, isFault('not_found'));
    else assert.equal(await work, 'answer');
    assert.equal(runs, isMixed ? 1 : 2);
  }
});
