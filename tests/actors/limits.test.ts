import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { limitsOptions, SharedLimits, StreamRate } from '../../actors/limits.ts';
import { Fault } from '../../ops/base/fault.ts';
import { defaultsOf } from '../../ops/base/options.ts';

const SECOND = 1_000_000_000n;

test('limits: defaults are Loki’s', () => {
  const limits = defaultsOf(limitsOptions);
  assert.equal(limits.ingestionRateMb, 4);
  assert.equal(limits.maxLineSize, 256 * 1024);
  assert.equal(limits.rejectOldSamplesMaxAge, 7 * 86_400_000);
  assert.equal(limits.maxQueryLength, 721 * 3_600_000);
  assert.equal(limits.logLevelFields.length, 14);
  assert.deepEqual(limits.enforcedLabels, []);
});

test('rate: a burst at once, then the rate', () => {
  const limits = new SharedLimits();
  const cell = limits.tenantCell('a');
  const take = (bytes: number, nowNs: bigint) => limits.takeBytes(cell, bytes, nowNs, 100, 300);
  assert.deepEqual(take(200, 50n * SECOND), { ok: true });
  assert.deepEqual(take(100, 50n * SECOND), { ok: true });
  assert.deepEqual(take(1, 50n * SECOND), { ok: false, retryAfterS: 1 });
  assert.deepEqual(take(250, 50n * SECOND), { ok: false, retryAfterS: 3 });
  assert.deepEqual(take(100, 51n * SECOND), { ok: true }); // what was refused was not charged
  assert.equal(take(50, 51n * SECOND).ok, false);
  assert.deepEqual(take(300, 60n * SECOND), { ok: true }); // idle time gives no more than a burst
  assert.equal(take(1, 60n * SECOND).ok, false);
});

test('rate: more than the burst at once is never let through', () => {
  const limits = new SharedLimits();
  assert.deepEqual(limits.takeBytes(limits.tenantCell('a'), 301, 9n * SECOND, 100, 300), { ok: false, retryAfterS: 1 });
  assert.equal(limits.takeBytes(limits.tenantCell('a'), 1, 9n * SECOND, 0, 300).ok, false);
});

test('rate: a tenant has nothing of another’s budget', () => {
  const limits = new SharedLimits();
  const [a, b] = [limits.tenantCell('a'), limits.tenantCell('b')];
  assert.equal(limits.tenantCell('a'), a);
  limits.takeBytes(a, 300, SECOND, 100, 300);
  assert.deepEqual(limits.takeBytes(b, 300, SECOND, 100, 300), { ok: true });
});

test('streams: up to the limit, and again after one is gone; 0 is no limit', () => {
  const limits = new SharedLimits();
  const cell = limits.tenantCell('a');
  assert.equal(limits.addStream(cell, 2), true);
  assert.equal(limits.addStream(cell, 2), true);
  assert.equal(limits.addStream(cell, 2), false);
  assert.equal(limits.addStream(cell, 0), true);
  limits.removeStream(cell);
  limits.removeStream(cell);
  assert.equal(limits.addStream(cell, 2), true);
  assert.equal(limits.activeStreams(cell), 2);
});

test('more tenants than there is room for are refused', () => {
  const limits = new SharedLimits(new SharedArrayBuffer(48));
  limits.tenantCell('a');
  limits.tenantCell('b');
  assert.throws(
    () => limits.tenantCell('c'),
    (error: unknown) => error instanceof Fault && error.code === 'unavailable',
  );
});

test('a tenant has the same place in every thread', () => {
  const limits = new SharedLimits();
  const other = new SharedLimits(limits.memory);
  const names = Array.from({ length: 2_000 }, (_, index) => `tenant-${index}`);
  const cells = names.map((name) => limits.tenantCell(name));
  assert.equal(new Set(cells).size, names.length);
  assert.deepEqual(
    names.toReversed().map((name) => other.tenantCell(name)),
    cells.toReversed(),
  );
});

test('threads share one budget', async () => {
  const limits = new SharedLimits();
  const cell = limits.tenantCell('a');
  const THREADS = 3;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ SharedLimits }) => {
      const limits = new SharedLimits(workerData.memory);
      const gate = new Int32Array(workerData.gate);
      Atomics.add(gate, 0, 1);
      Atomics.notify(gate, 0);
      for (let seen; (seen = Atomics.load(gate, 0)) < ${THREADS}; ) Atomics.wait(gate, 0, seen);
      let bytes = 0;
      let streams = 0;
      for (let n = 0; n < 100_000; n++) {
        if (limits.takeBytes(workerData.cell, 1, 5n, 1, 200_000).ok) bytes++;
        if (limits.addStream(workerData.cell, 200_000)) streams++;
      }
      parentPort.postMessage([bytes, streams]);
    });`;
  const workerData = {
    module: new URL('../../actors/limits.ts', import.meta.url).href,
    memory: limits.memory,
    cell,
    gate: new SharedArrayBuffer(4),
  };
  const run = async (): Promise<[number, number]> => (await once(new Worker(code, { eval: true, workerData }), 'message'))[0];
  const taken = await Promise.all(Array.from({ length: THREADS }, run));
  const sum = (index: 0 | 1): number => taken.reduce((total, part) => total + part[index], 0);
  assert.equal(sum(0), 200_000);
  assert.equal(sum(1), 200_000);
});

test('stream rate: a burst at once, then the rate', () => {
  const rate = new StreamRate(1_000);
  assert.equal(rate.take(300, 1_000, 100, 300), true);
  assert.equal(rate.take(1, 1_000, 100, 300), false);
  assert.equal(rate.take(100, 2_000, 100, 300), true);
  assert.equal(rate.take(1, 2_000, 100, 300), false);
  assert.equal(rate.take(301, 90_000, 100, 300), false);
  assert.equal(rate.take(300, 90_000, 100, 300), true);
});
