import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedLimits } from '../../actors/limits.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { fakeWorld } from '../../ops/base/world-fake.ts';
import { Logs } from '../../ops/log.ts';
import type { WorkerOptions } from '../../ops/sections.ts';
import { Workers } from '../../ops/workers.ts';
import { Router } from '../../topology/transport/thread.ts';

test('a stop does not wait for a thread that has ended and is not started again yet', async () => {
  const world = fakeWorld(1); // its time stands still, so the next start never comes
  const router = new Router({ world, instruments: noInstruments });
  const unstartable = {} as WorkerOptions;
  const workers = new Workers({
    world,
    instruments: noInstruments,
    logs: new Logs('error'),
    router,
    asker: { ask: () => Promise.reject(new Error('nobody is asked')) },
    data: { workers: 1, logRoot: '/nowhere', objectRoot: '/nowhere', options: unstartable, limitsMemory: new SharedLimits().memory },
    onFailed: (error) => assert.fail(error),
  });
  await assert.rejects(workers.start(), /worker-0 ended with code 1 before it had started/);
  await workers.stop();
  await router.close();
});
