import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownTailSource } from '../../../actors/ingester/own-tail-source.ts';
import { Tails } from '../../../actors/ingester/tails.ts';
import { compileMatchers } from '../../../actors/matchers.ts';
import type { LogPlace, StreamShard, TailBegun, TailedBatches } from '../../../actors/protocol/ingest.ts';
import { parseSelector } from '../../../logql/syntax/parse.ts';
import { Batch, batchesIn } from '../../../storage/batch/batch.ts';
import { pushRecordHeader } from '../../../storage/batch/push-record.ts';
import type { IngestLog, LogGap, LogRecord } from '../../../storage/log/ingest-log.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
import { isFault, numbers } from '../../support/checks.ts';

/** A shard whose records are kept as they were pushed; `forget` drops those below a position. */
class Shard {
  readonly tails = new Tails();
  readonly log: IngestLog;
  readonly #records: Buffer[] = [];
  #kept = 0;
  appliedTo = 0;

  constructor() {
    const unused = (): never => assert.fail('not called here');
    const read = (from: number) => this.#read(from);
    this.log = { id: 'log', end: 0, append: unused, read, trim: unused, sizeBytes: unused, close: unused };
  }

  /** A push of a batch for each line. */
  push(lines: readonly string[], app = 'a', tenant = 'fake'): void {
    const batches = Buffer.concat(
      lines.map((line) => batchOf([{ time: HOUR_START_NS, line, metadata: {} }], `{app="${app}"}`, tenant).bytes),
    );
    this.#records.push(Buffer.concat([pushRecordHeader(tenant), batches]));
    this.appliedTo = this.#records.length;
    this.tails.publish({ log: 'log', position: this.appliedTo - 1 }, tenant, batchesIn(batches));
    batches.fill(0); // as the memory of a push is freed
  }

  forget(below: number): void {
    this.#kept = below;
  }

  listen(query = '{app="a"}', options: { resume?: LogPlace; signal?: AbortSignal; tenant?: string; shard?: StreamShard } = {}): Listener {
    const { signal = new AbortController().signal, tenant = 'fake', shard = { index: 0, of: 1 } } = options;
    const streams = { matchers: compileMatchers(parseSelector(query)), shard };
    return new Listener(this.tails.listen(tenant, streams, ownTailSource(this), { resume: options.resume && [options.resume], signal }));
  }

  async *#read(from: number): AsyncGenerator<LogRecord | LogGap> {
    for (let position = Math.max(from, this.#kept); position < this.#records.length; position++)
      yield { kind: 'record', position, bytes: this.#records[position] };
  }
}

class Listener {
  readonly #parts: AsyncGenerator<TailBegun | TailedBatches>;
  last: TailedBatches | undefined;

  constructor(parts: AsyncGenerator<TailBegun | TailedBatches>) {
    this.#parts = parts;
  }

  /** Lines of the next part. */
  async next(): Promise<string[]> {
    this.last = (await this.#parts.next()).value as TailedBatches;
    return this.last.batches.map((batch) => new Batch(batch as Buffer).lines().toString());
  }

  async opened(place?: LogPlace): Promise<this> {
    const begun = (await this.#parts.next()).value as TailBegun;
    assert.equal(begun.kind, 'begun');
    if (place !== undefined) assert.deepEqual(begun.places, [place]);
    return this;
  }

  leave(): Promise<unknown> {
    return this.#parts.return(undefined);
  }

  get position(): number | undefined {
    return this.last?.next.position;
  }
}

test('who listens is given what is pushed from then on', async () => {
  const shard = new Shard();
  shard.push(['before']);
  const listener = await shard.listen().opened({ log: 'log', position: 1 });
  shard.push(['one', 'two']);
  shard.push(['three']);
  assert.deepEqual(await listener.next(), ['one', 'two', 'three']);
  assert.equal(listener.position, 3);
  const waiting = listener.next();
  shard.push(['four']);
  assert.deepEqual(await waiting, ['four']);
});

test('only the streams of the shard that is asked for', async () => {
  const shard = new Shard();
  const parts = await Promise.all([0, 1, 2].map((index) => shard.listen('{app=~".+"}', { shard: { index, of: 3 } }).opened()));
  const apps = numbers(12).map((number) => `app-${number}`);
  for (const app of apps) shard.push([app], app);
  const came = await Promise.all(parts.map((part) => part.next()));
  assert.ok(came.every(({ length }) => length > 0));
  assert.deepEqual(came.flat().sort(), apps.toSorted());
});

test('only the streams of the selector and of the tenant', async () => {
  const shard = new Shard();
  const [all, some, others] = [
    await shard.listen('{app=~".+"}').opened(),
    await shard.listen('{app!="b", app=~"a|b"}').opened(),
    await shard.listen('{app="a"}', { tenant: 'other' }).opened(),
  ];
  shard.push(['a']);
  shard.push(['b'], 'b');
  shard.push(['c'], 'a', 'other');
  assert.deepEqual(await all.next(), ['a', 'b']);
  assert.deepEqual(await some.next(), ['a']);
  assert.deepEqual(await others.next(), ['c']);
});

test('with nobody listening a push is not looked at', () => {
  const { tails } = new Shard();
  const untouchable = new Proxy(Buffer.alloc(0), { get: (_, key) => assert.fail(`${String(key)} was looked at`) });
  tails.publish({ log: 'log', position: 0 }, 'fake', batchesIn(untouchable));
});

test('nor is one of a tenant to whom nobody listens', async () => {
  const shard = new Shard();
  await shard.listen().opened();
  const untouchable = new Proxy(Buffer.alloc(0), { get: (_, key) => assert.fail(`${String(key)} was looked at`) });
  shard.tails.publish({ log: 'log', position: 0 }, 'other', batchesIn(untouchable));
});

test('who leaves is forgotten, in a wait too', async () => {
  const shard = new Shard();
  const caller = new AbortController();
  const [left, aborted] = [await shard.listen().opened(), await shard.listen('{app="a"}', { signal: caller.signal }).opened()];
  assert.equal(shard.tails.count, 2);
  await left.leave();
  const waiting = aborted.next();
  caller.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  assert.equal(shard.tails.count, 0);
});

test('a listener that does not read misses what is beyond its bound, and is told', async () => {
  const shard = new Shard();
  const listener = await shard.listen().opened();
  const line = 'x'.repeat(1_000_000);
  for (const number of numbers(12)) shard.push([`${number} ${line}`]);
  const seen: string[] = [];
  const missed: unknown[] = [];
  while (listener.position !== 12) {
    seen.push(...(await listener.next()).map((text) => text.split(' ')[0]));
    missed.push(...listener.last!.missed);
    assert.ok(listener.last!.batches.length <= 1, 'a part is not much more than half a mebibyte');
  }
  assert.deepEqual(seen, numbers(9).map(String));
  assert.deepEqual(
    missed,
    numbers(3).map(() => ({ labels: '{app="a"}', timesNs: [HOUR_START_NS] })),
  );
  shard.push(['again']);
  assert.deepEqual(await listener.next(), ['again']);
  assert.deepEqual(listener.last!.missed, []);
});

test('a place is behind all that was given, and behind no record of which anything is left', async () => {
  const shard = new Shard();
  const listener = await shard.listen().opened();
  const line = 'x'.repeat(300_000);
  shard.push([`1 ${line}`, `2 ${line}`, `3 ${line}`]);
  shard.push(['4']);
  assert.equal((await listener.next()).length, 2);
  assert.equal(listener.position, 0);
  assert.equal((await listener.next()).length, 2);
  assert.equal(listener.position, 2);
});

test('a silent listener is told how far the log is, once', async () => {
  const shard = new Shard();
  const listener = await shard.listen().opened();
  shard.push(['other'], 'b');
  shard.tails.mark({ log: 'log', position: shard.appliedTo });
  shard.tails.mark({ log: 'log', position: shard.appliedTo });
  assert.deepEqual(await listener.next(), []);
  assert.equal(listener.position, 1);
  const waiting = listener.next();
  shard.push(['own']);
  assert.deepEqual(await waiting, ['own']);
});

test('who resumes is given what was pushed since, from the log, and then what is pushed', async () => {
  const shard = new Shard();
  for (const number of numbers(3)) shard.push([`${number}`]);
  shard.push(['b'], 'b');
  shard.push(['other'], 'a', 'other');
  shard.push(['3', '4']);
  const resume = { log: 'log', position: 2 };
  const listener = await shard.listen('{app="a"}', { resume }).opened(resume);
  shard.push(['5']); // while it reads
  assert.deepEqual(await listener.next(), ['2', '3', '4']);
  assert.deepEqual([listener.last?.from, listener.position, listener.last?.positions], [2, 6, [2, 5, 5]]);
  assert.deepEqual(await listener.next(), ['5']);
  assert.equal(listener.position, 7);
});

const lost: [what: string, resume: LogPlace, forget: number][] = [
  ['the log was trimmed beyond it', { log: 'log', position: 1 }, 2],
  ['the log was trimmed to its end', { log: 'log', position: 1 }, 3],
  ['it is another log', { log: 'other', position: 1 }, 0],
  ['the log does not reach that far', { log: 'log', position: 4 }, 0],
];
for (const [what, resume, forget] of lost) {
  test(`nobody resumes where ${what}`, async () => {
    const shard = new Shard();
    for (const number of numbers(3)) shard.push([`${number}`]);
    shard.forget(forget);
    const listener = await shard.listen('{app="a"}', { resume }).opened();
    await assert.rejects(listener.next(), isFault('not_found'));
    assert.equal(shard.tails.count, 0);
  });
}

test('batches are copies of their own, 8-aligned, shared by those who want them', async () => {
  const shard = new Shard();
  const [one, two] = [await shard.listen().opened(), await shard.listen().opened()];
  shard.push(['line']);
  await one.next();
  await two.next();
  const [batch] = one.last!.batches as Buffer[];
  assert.equal(batch, two.last!.batches[0]);
  assert.deepEqual([batch.byteOffset % 8, [...batchesIn(batch)].length], [0, 1]);
});
