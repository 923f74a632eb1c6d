import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FrontendServices, Jobs } from '../../../actors/frontend/jobs.ts';
import { instantQuery } from '../../../actors/frontend/queries.ts';
import type { AskContext, Asker, AskOptions } from '../../../actors/kernel/define.ts';
import { limitsOptions } from '../../../actors/limits.ts';
import { noScanStats } from '../../../actors/protocol/query.ts';
import { Turns } from '../../../actors/turns.ts';
import { MemoryBudget } from '../../../logql/engine/memory-budget.ts';
import { SampleFrameWriter } from '../../../logql/engine/sample-frame.ts';
import { finish, type Steps } from '../../../logql/engine/steps.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault } from '../../support/checks.ts';
import { withLeases } from '../../support/leases.ts';

const SAMPLES = { kind: 'samples' as const, startNs: 0n, endNs: 0n, stepNs: 0 };

const ASKED: AskContext = { tenant: 'a', deadlineMs: 1e9, trace: '', signal: new AbortController().signal, transferReply: () => {} };

function servicesOf(asker: Asker): FrontendServices {
  const world = fakeWorld(1);
  const limits = () => defaultsOf(limitsOptions);
  const slices = new Turns(world).begin(ASKED.signal);
  return { messenger: withLeases(asker), queriers: ['0', '1'], limits, world, memory: new MemoryBudget(0), slices };
}

const jobsOf = (asker: Asker): Jobs => new Jobs(servicesOf(asker), ASKED);

test('when one job of a query fails, the others stop, those of its other leaves too', async () => {
  const stopped: string[] = [];
  const asker: Asker = {
    ask: (_protocol, instance, ask, { signal }: AskOptions) => {
      const { query } = ask as unknown as { query: string };
      if (query === 'fails' && instance === '1') return Promise.reject(new Fault('corrupt', 'a bad block'));
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => {
          stopped.push(`${query} on ${instance}`);
          reject(signal.reason);
        }),
      );
    },
  };
  const jobs = jobsOf(asker);
  const leaves = ['goes on', 'fails'].map((query) => jobs.run({ ...SAMPLES, query }, true));
  const outcomes = await Promise.allSettled(leaves);
  for (const outcome of outcomes) assert.ok(outcome.status === 'rejected' && isFault('corrupt')(outcome.reason));
  assert.deepEqual(stopped.sort(), ['fails on 0', 'goes on on 0', 'goes on on 1']);
});

test('jobs that help each other and miss an object are asked again, each to work alone', async () => {
  const helped: boolean[] = [];
  const stats = noScanStats();
  const asker = {
    ask: (_protocol: unknown, _instance: string, ask: { help?: object }) => {
      helped.push(ask.help !== undefined);
      return ask.help === undefined ? Promise.resolve({ frame: [], stats }) : Promise.reject(new Fault('not_found', 'gone'));
    },
  } as unknown as Asker;
  const replies = await jobsOf(asker).run({ ...SAMPLES, query: 'count_over_time({a="b"}[1s])' }, true);
  assert.equal(replies.length, 2);
  assert.deepEqual(helped, [true, true, false, false]);
});

test('a query whose merge fails has no job left when it ends, and asks for no more leaves', async () => {
  let open = 0;
  const asked: string[] = [];
  const asker = {
    ask: async (_protocol: unknown, _instance: string, { query }: { query: string }, { signal }: AskOptions) => {
      asked.push(query);
      open++;
      if (!query.includes('rate_counter')) await new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      open--;
      const frame = finish(framed());
      return { frame, stats: noScanStats() };
    },
  } as unknown as Asker;
  // What two queriers give of one counter cannot be merged; tenants tell it apart, unless the label that says so is taken away.
  const leaves = [
    'rate_counter({a="b"} | unwrap c [1s])',
    ...Array.from({ length: 20 }, (_, index) => `count_over_time({a="${index}"}[1s])`),
  ];
  const services = servicesOf(asker);
  const ask = {
    kind: 'instant' as const,
    query: leaves.join(' + '),
    timeNs: 0n,
    limit: 10,
    direction: 'forward' as const,
    categorize: false,
  };
  await assert.rejects(instantQuery(ask, services, { ...ASKED, tenant: '1|2' }), isFault('internal'));
  assert.equal(open, 0);
  assert.ok(new Set(asked).size < leaves.length, `${asked.length} jobs`);
});

function* framed(): Steps<Uint8Array[]> {
  const writer = new SampleFrameWriter(1);
  yield* writer.add('{a="b"}', { from: 0, columns: [Float64Array.of(1), Float64Array.of(1)] });
  return writer.finish();
}
