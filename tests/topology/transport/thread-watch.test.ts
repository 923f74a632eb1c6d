import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { progressCounter, reportProgress, type ThreadExit, watchThread } from '../../../topology/transport/thread-watch.ts';

/** A thread that does nothing by itself. */
class FakeThread extends EventEmitter {
  terminated = 0;
  async terminate(): Promise<number> {
    this.terminated++;
    this.emit('exit', 1);
    return 1;
  }
}

function setUp() {
  const world = fakeWorld(1);
  const thread = new FakeThread();
  const progress = progressCounter();
  const exits: ThreadExit[] = [];
  const stop = watchThread(thread, {
    timers: world.timers,
    log: noInstruments.log,
    name: 'worker-0',
    progress,
    stallMs: 8_000,
    onExit: (exit) => exits.push(exit),
  });
  return { world, thread, progress, exits, stop };
}

test('a thread that makes no progress is ended, once', async () => {
  const { world, thread, exits } = setUp();
  await world.advance(7_999);
  assert.equal(thread.terminated, 0);
  await world.advance(100_000);
  assert.equal(thread.terminated, 1);
  assert.deepEqual(exits, [{ code: 1, stalled: true, error: undefined }]);
});

test('a thread that makes progress lives; once it stops making any, it has stallMs left', async () => {
  const { world, thread, progress } = setUp();
  const stopReporting = reportProgress(progress, world.timers, 1_000);
  await world.advance(60_000);
  assert.equal(thread.terminated, 0);
  stopReporting();
  await world.advance(7_000);
  assert.equal(thread.terminated, 0);
  await world.advance(2_000);
  assert.equal(thread.terminated, 1);
});

test('a process that was suspended has looked once, and ends nothing', async () => {
  let look = (): void => {};
  const thread = new FakeThread();
  const timers = {
    ...fakeWorld(1).timers,
    after: (_: number, action: () => void) => {
      look = action;
      return () => {};
    },
  };
  const progress = progressCounter();
  watchThread(thread, {
    timers,
    log: noInstruments.log,
    name: 'worker-0',
    progress,
    stallMs: 8_000,
    onExit: () => {},
  });
  for (let count = 0; count < 7; count++) look(); // the last of them long after the one before
  Atomics.add(new Int32Array(progress), 0, 1);
  for (let count = 0; count < 7; count++) look();
  assert.equal(thread.terminated, 0);
});

test('a thread that ends by itself is reported with its error; nothing is watched after', async () => {
  const { world, thread, exits } = setUp();
  const error = new Error('uncaught');
  thread.emit('error', error);
  thread.emit('exit', 1);
  await world.advance(100_000);
  assert.deepEqual(exits, [{ code: 1, stalled: false, error }]);
  assert.equal(thread.terminated, 0);
});

test('the watch for progress can be ended', async () => {
  const { world, thread, stop } = setUp();
  stop();
  await world.advance(100_000);
  assert.equal(thread.terminated, 0);
});

test('a real thread in an endless loop is ended', async () => {
  const worker = new Worker('for (;;);', { eval: true });
  const exited = new Promise<ThreadExit>((resolve) => {
    const { timers } = realWorld();
    watchThread(worker, { timers, log: noInstruments.log, name: 'loop', progress: progressCounter(), stallMs: 40, onExit: resolve });
  });
  assert.equal((await exited).stalled, true);
});
