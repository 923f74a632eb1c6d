import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveStreams } from '../../../actors/active-streams.ts';
import { IngestBuffer } from '../../../actors/distributor/buffer.ts';
import type { StreamBatch } from '../../../actors/distributor/replicate.ts';
import type { AskContext } from '../../../actors/kernel/define.ts';
import { limitsOptions, SharedLimits, type TenantLimits } from '../../../actors/limits.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import type { Batch } from '../../../storage/batch/batch.ts';
import { pushRecordHeader, readPushRecord } from '../../../storage/batch/push-record.ts';
import type { Position } from '../../../storage/log/ingest-log.ts';
import type { PartitionWriter } from '../../../storage/log/partition-writer.ts';
import { placementHash } from '../../../topology/ring/placement.ts';
import { batchOf, HOUR_START_NS } from '../../storage/chunk/rows.ts';
import { isFault, numbers } from '../../support/checks.ts';

const TENANT = 'tenant';

/** A writer that keeps what it is given, and answers as it is told. */
class FakeWriter {
  readonly records: Buffer[] = [];
  answer: () => Promise<Position> = async () => this.records.length - 1;

  append(parts: readonly Uint8Array[]): Promise<Position> {
    this.records.push(Buffer.concat(parts)); // copied at once, as PartitionWriter does
    return this.answer();
  }

  /** By record: `<tenant> <labels> <lines>` of each batch. */
  get contents(): string[][] {
    return this.records.map((record) => {
      const { tenant, batches } = readPushRecord(record);
      return [...batches].map((batch) => `${tenant} ${batch.labels()} ${linesOf(batch).join(',')}`);
    });
  }
}

function linesOf(batch: Batch): string[] {
  const [lines, ends] = [batch.lines(), batch.ends()];
  return Array.from(ends, (end, row) => lines.toString('utf8', row === 0 ? 0 : ends[row - 1], end));
}

function rig({
  partitions = 4,
  maxRecordBytes = 100_000,
  limits = {},
}: {
  partitions?: number;
  maxRecordBytes?: number;
  limits?: Partial<TenantLimits>;
} = {}) {
  const world = fakeWorld(1);
  const shared = new SharedLimits();
  const ofTenant = { ...defaultsOf(limitsOptions), ...limits };
  const streams = new ActiveStreams({
    shared,
    counted: new Int32Array(shared.places),
    limits: () => ofTenant,
    world,
    idleMs: 60_000,
  });
  const writers = numbers(partitions).map(() => new FakeWriter());
  const buffer = new IngestBuffer({
    writers: () => writers as unknown as PartitionWriter[],
    waitsFor: () => 'connects to Kafka',
    streams,
    maxRecordBytes,
  });
  const context = (tenant: string): AskContext => ({
    tenant,
    deadlineMs: 60_000,
    signal: new AbortController().signal,
    trace: '',
    transferReply: () => {},
  });
  return { world, writers, send: (batches: readonly StreamBatch[], tenant = TENANT) => buffer.send(batches, context(tenant)) };
}

/** A batch of the stream `{app="<app>"}`. */
function batch(app: string, lines: readonly string[] = ['x'], tenant = TENANT, metadata: Record<string, string> = {}): StreamBatch {
  const rows = lines.map((line, number) => ({ time: HOUR_START_NS + BigInt(number), line, metadata }));
  const { hash, bytes, rows: count, lineBytes, metadataBytes } = batchOf(rows, `{app="${app}"}`, tenant);
  return { hash, bytes, rows: count, contentBytes: lineBytes + metadataBytes };
}

const partitionOf = ({ hash }: StreamBatch, partitions: number, tenant = TENANT): number => placementHash(tenant, hash) % partitions;

/** Names of streams, so many in each of four partitions. */
function apps(inEach: number): string[][] {
  const byPartition: string[][] = numbers(4).map(() => []);
  for (let number = 0; byPartition.some(({ length }) => length < inEach); number++) {
    const app = `app-${number}`;
    const own = byPartition[partitionOf(batch(app), 4)];
    if (own.length < inEach) own.push(app);
  }
  return byPartition;
}

test('batches go to the partitions of their streams, those of one partition in one record', async () => {
  const { writers, send } = rig();
  const byPartition = apps(3);
  const mixed = numbers(3).flatMap((turn) => byPartition.map((own) => own[turn]));
  const outcome = await send(mixed.map((app) => batch(app, ['one', app])));
  for (const [partition, own] of byPartition.entries())
    assert.deepEqual(writers[partition].contents, [own.map((app) => `tenant {app="${app}"} one,${app}`)]);
  assert.deepEqual(outcome, {
    acceptedLines: 24,
    acceptedBytes: mixed.reduce((sum, app) => sum + 3 + app.length, 0),
    refusals: [],
    faults: [],
  });
});

test('a stream keeps to its partition, and to its order', async () => {
  const { writers, send } = rig();
  await Promise.all(numbers(20).map((number) => send([batch('a', [`${number}`])])));
  const written = writers.map(({ contents }) => contents).filter(({ length }) => length > 0);
  assert.deepEqual(written, [numbers(20).map((number) => [`tenant {app="a"} ${number}`])]);
});

test('streams of different tenants with the same labels are not all in one partition', async () => {
  const { writers, send } = rig();
  for (const number of numbers(40)) await send([batch('a', ['x'], 'same')], `tenant ${number}`);
  for (const { records } of writers) assert.ok(records.length > 2, `${records.length} of 40`);
});

test('metadata counts as what was accepted', async () => {
  const { writers, send } = rig();
  const one = batch('a', ['12345'], TENANT, { level: 'info' });
  const { acceptedLines, acceptedBytes } = await send([one]);
  assert.deepEqual([acceptedLines, acceptedBytes], [1, 5 + 9]);
  const [record] = writers.flatMap(({ records }) => records);
  const [read] = [...readPushRecord(record).batches];
  assert.deepEqual(
    read.metadata().map(({ key, values }) => [key, ...values]),
    [['level', 'info']],
  );
});

test('nothing is done where there is nothing to be sent', async () => {
  const { writers, send } = rig();
  assert.deepEqual(await send([]), { acceptedLines: 0, acceptedBytes: 0, refusals: [], faults: [] });
  assert.equal(writers.flatMap(({ records }) => records).length, 0);
});

for (const tenant of ['t', 'a tenant with a long name '.repeat(8)]) {
  test(`records stay below their limit, for a tenant with a name of ${tenant.length}`, async () => {
    const maxRecordBytes = 3_000;
    const { writers, send } = rig({ partitions: 1, maxRecordBytes });
    const sent = [
      ...numbers(30).map((number) => batch(`small-${number}`, ['x'.repeat(number * 7)], tenant)),
      batch(
        'large',
        numbers(500).map((number) => `${number} ${'y'.repeat(number % 60)}`),
        tenant,
      ),
      ...numbers(5).map((number) => batch(`last-${number}`, ['z'], tenant)),
    ];
    const [lines, bytes] = [sent.reduce((sum, { rows }) => sum + rows, 0), sent.reduce((sum, { contentBytes }) => sum + contentBytes, 0)];
    const outcome = await send(sent, tenant);
    assert.deepEqual([outcome.acceptedLines, outcome.acceptedBytes, outcome.faults], [lines, bytes, []]);

    const [{ records }] = writers;
    const largest = Math.max(...records.map(({ length }) => length));
    assert.ok(largest <= maxRecordBytes, `${largest} bytes`);
    const size = records.reduce((sum, { length }) => sum + length, 0);
    assert.ok(records.length <= (2 * size) / maxRecordBytes, `${records.length} records of ${size} bytes`);
    const read = records.map((record) => readPushRecord(record));
    assert.ok(read.every((record) => record.tenant === tenant));
    const got = read.flatMap(({ batches }) => [...batches]);
    assert.deepEqual(
      got.filter((one) => one.labels() === '{app="large"}').flatMap(linesOf),
      numbers(500).map((number) => `${number} ${'y'.repeat(number % 60)}`),
    );
    assert.equal(
      got.reduce((sum, { rows }) => sum + rows, 0),
      lines,
    );
  });
}

test('what just fits is one record', async () => {
  const sizes = ['a', 'b'].map((app) => batch(app, ['x'.repeat(1_000)]).bytes.length);
  const fits = pushRecordHeader(TENANT).length + sizes[0] + sizes[1];
  for (const [maxRecordBytes, records] of [
    [fits, 1],
    [fits - 1, 2],
  ]) {
    const { writers, send } = rig({ partitions: 1, maxRecordBytes });
    await send(['a', 'b'].map((app) => batch(app, ['x'.repeat(1_000)])));
    assert.equal(writers[0].records.length, records);
  }
});

test('a line that is too large for a record is refused alone', async () => {
  const { writers, send } = rig({ partitions: 1, maxRecordBytes: 2_000 });
  writers[0].answer = async () => {
    if (writers[0].records.at(-1)!.length > 2_000) throw new Fault('too_large', 'over the limit');
    return 0;
  };
  const outcome = await send([batch('a', ['one', 'x'.repeat(3_000), 'two']), batch('b', ['three'])]);
  assert.deepEqual([outcome.acceptedLines, outcome.acceptedBytes], [3, 11]);
  assert.deepEqual(outcome.faults, [{ code: 'too_large', message: 'over the limit' }]);
});

test('what one partition does not take is a fault, what others take is accepted', async () => {
  const { writers, send } = rig();
  const byPartition = apps(2);
  writers[1].answer = () => Promise.reject(new Fault('in_doubt', 'nobody knows', { retryAfterS: 1 }));
  writers[2].answer = () => Promise.reject(new Error('something else'));
  const outcome = await send(byPartition.flat().map((app) => batch(app, ['1', '22'])));
  assert.deepEqual(
    { ...outcome, faults: outcome.faults.toSorted((a, b) => (a.code < b.code ? -1 : 1)) },
    {
      acceptedLines: 8,
      acceptedBytes: 12,
      refusals: [],
      faults: [
        { code: 'in_doubt', message: 'nobody knows', retryAfterS: 1 },
        { code: 'internal', message: 'something else' },
      ],
    },
  );
});

test('of a push that is several records those count that were taken', async () => {
  const { writers, send } = rig({ partitions: 1, maxRecordBytes: 2_000 });
  writers[0].answer = async () => {
    if (writers[0].records.length === 2) throw new Fault('unavailable', 'away');
    return 0;
  };
  const outcome = await send(numbers(3).map((number) => batch(`app-${number}`, ['x'.repeat(1_500), 'y'])));
  assert.equal(writers[0].records.length, 3);
  assert.deepEqual([outcome.acceptedLines, outcome.acceptedBytes, outcome.faults.length], [4, 3_002, 1]);
});

test('it is not answered before it is known of every partition', async () => {
  const { world, writers, send } = rig();
  const slow = Promise.withResolvers<Position>();
  const [[fast], [held]] = apps(1);
  writers[0].answer = () => Promise.reject(new Fault('unavailable', 'away'));
  writers[1].answer = () => slow.promise;
  let isAnswered = false;
  const sent = send([batch(fast), batch(held)]).finally(() => (isAnswered = true));
  await world.settle();
  assert.equal(isAnswered, false);
  slow.resolve(0);
  const { acceptedLines, faults } = await sent;
  assert.deepEqual([acceptedLines, faults.length], [1, 1]);
});

test('streams beyond the tenant’s limit are refused and not written, known ones are not', async () => {
  const { writers, send } = rig({ partitions: 1, limits: { maxGlobalStreamsPerUser: 2 } });
  const outcome = await send([batch('a', ['1']), batch('b', ['22']), batch('c', ['333', '4']), batch('d', ['5']), batch('a', ['6'])]);
  assert.deepEqual([outcome.acceptedLines, outcome.acceptedBytes, outcome.faults], [3, 4, []]);
  assert.deepEqual(
    outcome.refusals.map(({ reason, lines, bytes, fault }) => [reason, lines, bytes, fault.code]),
    [['stream_limit', 3, 5, 'rate_limited']],
  );
  assert.deepEqual(writers[0].contents, [['tenant {app="a"} 1', 'tenant {app="b"} 22', 'tenant {app="a"} 6']]);
});

test('a stream over its rate is refused until it has time again, others are not', async () => {
  const { world, writers, send } = rig({ partitions: 1, limits: { perStreamRateLimit: 10, perStreamRateLimitBurst: 10 } });
  const refused = async (app: string, line: string) => (await send([batch(app, [line])])).refusals.map(({ reason }) => reason);
  assert.deepEqual(await refused('a', '0123456789'), []);
  assert.deepEqual(await refused('a', 'x'), ['per_stream_rate_limit']);
  assert.deepEqual(await refused('b', 'y'), []);
  await world.advance(100);
  assert.deepEqual(await refused('a', 'z'), []);
  assert.deepEqual(
    writers[0].contents.flat().map((text) => text.at(-1)),
    ['9', 'y', 'z'],
  );
});

test('where everything is refused nothing is written', async () => {
  const { writers, send } = rig({ limits: { perStreamRateLimit: 1, perStreamRateLimitBurst: 1 } });
  const { acceptedLines, refusals, faults } = await send([batch('a', ['too long']), batch('b', ['as well'])]);
  assert.deepEqual([acceptedLines, refusals.length, refusals[0].lines, faults], [0, 1, 2, []]);
  assert.equal(writers.flatMap(({ records }) => records).length, 0);
});

test('without partitions a push is refused with why, and no stream is counted', async () => {
  const { writers, send } = rig({ partitions: 0, limits: { maxGlobalStreamsPerUser: 1 } });
  await assert.rejects(send([batch('a')]), { code: 'unavailable', message: 'connects to Kafka', retryAfterS: 1 });
  writers.push(new FakeWriter());
  assert.deepEqual((await send([batch('b')])).refusals, []);
});

test('the memory of batches is given back, whatever becomes of them', async () => {
  const taken = [batch('a'), batch('b', ['x'.repeat(5_000)])];
  const { writers, send } = rig({ partitions: 1 });
  await send(taken);
  assert.equal(writers[0].contents[0].length, 2);
  const refused = [batch('c')];
  await send(refused).catch(() => {});
  const unsent = [batch('d')];
  await assert.rejects(rig({ partitions: 0 }).send(unsent), isFault('unavailable'));
  assert.deepEqual(
    [...taken, ...refused, ...unsent].map(({ bytes }) => bytes.length),
    [0, 0, 0, 0],
  );
});
