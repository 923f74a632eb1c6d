import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveIncarnation } from '../../../actors/kernel/incarnation.ts';
import { Fault } from '../../../ops/base/fault.ts';

class Log {
  readonly id = 'log-1';
  #records: number[] = [];
  pending = Promise.withResolvers<void>();
  get size(): number {
    return this.#records.length;
  }
  note(record: number): void {
    this.#records.push(record);
  }
  async append(record: number): Promise<number> {
    await this.pending.promise;
    return this.#records.push(record);
  }
  async *read(): AsyncGenerator<number> {
    yield* this.#records;
  }
}

const stale = (error: unknown): boolean =>
  error instanceof Fault && error.code === 'stale_incarnation' && error.message === 'incarnation 2 of a/0 is over';

function setUp() {
  const failures: unknown[] = [];
  const incarnation = new ActiveIncarnation('a/0', 2, (error) => failures.push(error));
  const log = new Log();
  return { incarnation, log, fenced: incarnation.fence(log), failures };
}

test('a fenced object works as the one behind it', async () => {
  const { log, fenced } = setUp();
  log.pending.resolve();
  fenced.note(7);
  assert.equal(await fenced.append(8), 2);
  assert.deepEqual([fenced.id, fenced.size], ['log-1', 2]);
  const read = [];
  for await (const record of fenced.read()) read.push(record);
  assert.deepEqual(read, [7, 8]);
  assert.ok(fenced instanceof Log);
});

test('a frozen object of functions can be fenced', () => {
  const { incarnation } = setUp();
  assert.equal(incarnation.fence(Object.freeze({ two: () => 2 })).two(), 2);
});

test('while ending, effects still pass; once it is over, none does', async () => {
  const { incarnation, log, fenced } = setUp();
  log.pending.resolve();
  incarnation.beginEnd();
  assert.ok(stale(incarnation.signal.reason));
  incarnation.check();
  fenced.note(1);
  const reading = fenced.read()[Symbol.asyncIterator]();
  incarnation.end();
  assert.throws(() => incarnation.check(), stale);
  assert.throws(() => fenced.note(2), stale);
  assert.throws(() => fenced.append(3), stale);
  await assert.rejects(async () => reading.next(), stale);
  assert.equal(log.size, 1);
});

test('it is drained when the calls under way have settled, well or not', async () => {
  const { incarnation, log, fenced } = setUp();
  const calls = [fenced.append(1), fenced.append(2)];
  incarnation.end();
  let drained = false;
  const whenDrained = incarnation.whenDrained().then(() => {
    drained = true;
  });
  await Promise.resolve();
  assert.ok(!drained);
  log.pending.reject(new Error('disk'));
  await Promise.allSettled(calls);
  await whenDrained;
  assert.ok(drained);
});

test('failures count until the end begins', () => {
  const { incarnation, failures } = setUp();
  incarnation.fail('first');
  incarnation.beginEnd();
  incarnation.fail('second');
  assert.deepEqual(failures, ['first']);
});
