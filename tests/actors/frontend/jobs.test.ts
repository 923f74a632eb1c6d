import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Jobs } from '../../../actors/frontend/jobs.ts';
import type { AskContext, Asker, AskOptions } from '../../../actors/kernel/define.ts';
import { limitsOptions } from '../../../actors/limits.ts';
import { noScanStats } from '../../../actors/protocol/query.ts';
import { Turns } from '../../../actors/turns.ts';
import { MemoryBudget } from '../../../logql/engine/memory-budget.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault } from '../../support/checks.ts';

const SAMPLES = { kind: 'samples' as const, startNs: 0n, endNs: 0n, stepNs: 0 };

function jobsOf(asker: Asker): Jobs {
  const world = fakeWorld(1);
  const limits = () => defaultsOf(limitsOptions);
  const asked: AskContext = { tenant: 'a', deadlineMs: 1e9, trace: '', signal: new AbortController().signal, transferReply: () => {} };
  const slices = new Turns(world).begin(asked.signal);
  return new Jobs({ asker, queriers: ['0', '1'], limits, world, memory: new MemoryBudget(0), slices }, asked);
}

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
