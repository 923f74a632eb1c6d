import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferedTails } from '../../../actors/ingester/buffered-tails.ts';
import { compileMatchers } from '../../../actors/matchers.ts';
import type { LogPlace, TailBegun, TailedBatches } from '../../../actors/protocol/ingest.ts';
import { parseSelector } from '../../../logql/syntax/parse.ts';
import { Batch } from '../../../storage/batch/batch.ts';
import { pushRecordHeader } from '../../../storage/batch/push-record.ts';
import type { LogRecord } from '../../../storage/log/ingest-log.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
import { numbers } from '../../support/checks.ts';

/** A shard that owns partitions for as long as `places` names them. */
class Shard {
  readonly tails = new BufferedTails();
  /** Of logs that are owned. */
  readonly places = new Map<string, number>();
  ends: LogPlace[] = [];

  /** Records from a position on, with a line each. */
  take(log: string, from: number, lines: readonly string[], tenant = 'fake'): void {
    const records = lines.map((line, at): LogRecord => {
      const { bytes } = batchOf([{ time: HOUR_START_NS, line, metadata: {} }], '{app="a"}', tenant);
      return { kind: 'record', position: from + at, bytes: Buffer.concat([pushRecordHeader(tenant), bytes]) };
    });
    if (this.places.get(log) !== from) this.tails.begins({ log, position: from });
    this.places.set(log, from + lines.length);
    this.tails.took(log, records);
    for (const { bytes } of records) bytes.fill(0); // as the memory of a fetch is used again
  }

  async listen(resume?: LogPlace[]): Promise<{ begun: TailBegun; next(): Promise<string>; leave(): Promise<unknown> }> {
    const source = this.tails.source(
      () => [...this.places].map(([log, position]) => ({ log, position })),
      async () => this.ends,
    );
    const streams = { matchers: compileMatchers(parseSelector('{app="a"}')), shard: { index: 0, of: 1 } };
    const parts = this.tails.tails.listen('fake', streams, source, { resume, signal: new AbortController().signal });
    const begun = (await parts.next()).value as TailBegun;
    return {
      begun,
      next: async () => {
        const { from, next, batches, positions } = (await parts.next()).value as TailedBatches;
        const lines = batches.map((batch, at) => ` ${positions[at]}:${new Batch(batch as Buffer).lines()}`);
        return `${next.log} ${from}-${next.position}${lines.join('')}`;
      },
      leave: () => parts.return(undefined),
    };
  }
}

test('a tail begins where owned partitions are read, and some records before others end; each part is of one partition', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old', 'old']);
  shard.ends = [
    { log: 'p', position: 3 },
    { log: 'q', position: 1_007 },
  ];
  const { begun, next } = await shard.listen();
  assert.deepEqual([begun.places, begun.ends], [[{ log: 'p', position: 2 }], shard.ends]);
  shard.take('p', 2, ['one']);
  shard.take('q', 5, ['old', 'old', 'two', 'three']); // it is read from storage's end on
  shard.take('p', 3, ['four']);
  assert.deepEqual([await next(), await next(), await next()], ['p 2-3 2:one', 'q 7-9 7:two 8:three', 'p 3-4 3:four']);
});

test('records that another owner read are left out of what is told, and what is read again is not sent again', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old']);
  const { next } = await shard.listen();
  shard.take('p', 1, ['one', 'two']);
  shard.take('p', 2, ['two', 'three']);
  shard.take('p', 9, ['nine']);
  shard.take('p', 10, ['theirs'], 'other');
  shard.take('p', 15, ['fifteen']);
  const parts = ['p 1-4 1:one 2:two 3:three', 'p 9-9', 'p 9-11 9:nine', 'p 15-15', 'p 15-16 15:fifteen'];
  for (const part of parts) assert.equal(await next(), part);
});

test('what others read before a partition comes back is not told of as read here', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old']);
  const { next } = await shard.listen();
  shard.take('p', 1, ['one']);
  shard.tails.passesOn({ log: 'p', position: 2 });
  shard.tails.begins({ log: 'p', position: 7 });
  shard.tails.passesOn({ log: 'p', position: 7 });
  shard.places.set('p', 7);
  shard.take('p', 7, ['seven']);
  for (const part of ['p 1-2 1:one', 'p 7-7', 'p 7-8 7:seven']) assert.equal(await next(), part);
});

test('how far partitions are is told though nothing of them is wanted', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old']);
  const { next } = await shard.listen();
  shard.take('p', 1, ['theirs', 'theirs'], 'other');
  shard.tails.passesOn({ log: 'p', position: 3 });
  assert.equal(await next(), 'p 1-3');
});

test('who goes on is sent what was read since the tail was there, of partitions too that have gone to others', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old']);
  const { leave } = await shard.listen();
  shard.take('p', 1, ['one']);
  shard.take('q', 4, ['four', 'five']);
  await leave();
  shard.take('p', 2, ['two']);
  shard.take('q', 6, ['theirs'], 'other');
  shard.places.delete('q');
  const { begun, next } = await shard.listen([
    { log: 'p', position: 1 },
    { log: 'q', position: 5 },
    { log: 'r', position: 2 },
  ]);
  assert.equal(begun.places.length, 3);
  shard.take('p', 3, ['three']);
  shard.take('r', 0, ['old', 'old', 'two']);
  assert.deepEqual(
    [await next(), await next(), await next(), await next()],
    ['p 1-3 1:one 2:two', 'q 5-7 5:five', 'p 3-4 3:three', 'r 2-3 2:two'],
  );
});

test('who goes on where records are not in memory any more is told where those that are begin', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old']);
  for (const number of numbers(12)) shard.take('p', 1 + number, ['x'.repeat(1_000_000)]);
  const { next } = await shard.listen([{ log: 'p', position: 2 }]);
  assert.match(await next(), /^p 5-6 5:x/);
  const kept = await shard.listen([{ log: 'p', position: 12 }]);
  assert.match(await kept.next(), /^p 12-13 12:x/);
});

test('what was read twice, the first time partly forgotten, is sent once', async () => {
  const shard = new Shard();
  for (const number of numbers(4)) shard.take('p', number, ['x'.repeat(1_000_000)]);
  for (const number of numbers(6)) shard.take('p', 2 + number, [`${number} ${'x'.repeat(1_000_000)}`]);
  const { next } = await shard.listen([{ log: 'p', position: 2 }]);
  for (const position of numbers(6).map((number) => 2 + number)) assert.match(await next(), new RegExp(`^p ${position}-`));
});

test('who goes on where nothing is known of a log that was read here is told so', async () => {
  const shard = new Shard();
  shard.places.set('p', 9);
  const { next } = await shard.listen([{ log: 'p', position: 2 }]);
  assert.equal(await next(), 'p 9-9');
});

test('a log that a tail which goes on does not know is newer than the tail', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['zero', 'one']);
  const { next } = await shard.listen([{ log: 'q', position: 2 }]);
  assert.equal(await next(), 'p 0-2 0:zero 1:one');
});

test('of a log that comes from another owner, who begins beyond where the tail is says so', async () => {
  const shard = new Shard();
  shard.ends = [{ log: 'q', position: 1_005 }];
  const { next } = await shard.listen();
  shard.tails.begins({ log: 'q', position: 8 });
  assert.equal(await next(), 'q 8-8');
});

test('who goes on with a start that had read a partition before it was asked is sent what it has', async () => {
  const shard = new Shard();
  shard.take('p', 0, ['old', 'one', 'two']);
  const { next } = await shard.listen([{ log: 'p', position: 1 }]);
  assert.equal(await next(), 'p 1-3 1:one 2:two');
});
