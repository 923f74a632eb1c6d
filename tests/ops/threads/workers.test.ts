import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ActorSystem } from '../../../actors/kernel/system.ts';
import { SharedLimits } from '../../../actors/limits.ts';
import { distributorProtocol } from '../../../actors/protocol/ingest.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { configure } from '../../../ops/config.ts';
import { Findings } from '../../../ops/config-findings.ts';
import { Logs } from '../../../ops/log.ts';
import { sections, type WorkerOptions, workerOptions } from '../../../ops/sections.ts';
import { componentsOf } from '../../../ops/targets.ts';
import { Workers } from '../../../ops/threads/workers.ts';
import { Router } from '../../../topology/transport/thread.ts';
import { pushAsk } from '../../support/push-ask.ts';
import { until } from '../http/harness.ts';

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
    data: {
      shards: 1,
      components: componentsOf(['all'], false),
      logRoot: '/nowhere',
      objectRoot: '/nowhere',
      options: unstartable,
      overrides: [],
      cluster: undefined,
      isBuffered: false,
      limitsMemory: new SharedLimits().memory,
    },
    onFailed: (error) => assert.fail(error),
  });
  await assert.rejects(workers.start(), /ended with code 1 before it had started/);
  await workers.stop();
  await router.close();
});

test('limits that change while a thread is starting are those that it goes by', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-workers-'));
  const world = realWorld();
  const router = new Router({ world, instruments: noInstruments });
  const system = new ActorSystem({
    world,
    transport: router,
    instruments: noInstruments,
    onFailed: (_, error) => assert.fail(String(error)),
  });
  const options = workerOptions(configure(sections, { argv: [], env: {}, readFile: () => '' }, new Findings()));
  const shared = new SharedLimits();
  const data = {
    shards: 1,
    components: componentsOf(['all'], false),
    logRoot: join(folder, 'wal'),
    objectRoot: join(folder, 'objects'),
    options,
    overrides: [],
    cluster: undefined,
    isBuffered: false,
    limitsMemory: shared.memory,
  };
  mkdirSync(data.logRoot);
  mkdirSync(data.objectRoot);
  const onFailed = (error: Error): void => assert.fail(error);
  const workers = new Workers({ world, instruments: noInstruments, logs: new Logs('error'), router, asker: system, data, onFailed });
  context.after(async () => {
    await workers.stop();
    await system.stop();
    await router.close();
    rmSync(folder, { recursive: true });
  });
  const started = workers.start();
  const { ready, reason } = await workers.ready();
  assert.equal(ready, false);
  assert.match(reason, /^query-0: /m);
  workers.setOverrides([['a', { maxLineSize: 20 }]]);
  await started;
  const push = async (tenant: string): Promise<string | undefined> => {
    const streams = [{ stream: { app: 'x' }, values: [[String(Date.now() * 1e6), 'x'.repeat(30)]] }];
    const ask = pushAsk(streams);
    const deadlineMs = world.clock.monotonicMs() + 10_000;
    return (await system.ask(distributorProtocol, '0', ask, { tenant, deadlineMs })).fault?.message;
  };
  await until(async () => (await workers.ready()).ready);
  await until(async () => (await push('a'))?.includes('max entry size') === true);
  assert.equal(await push('b'), undefined);
});
