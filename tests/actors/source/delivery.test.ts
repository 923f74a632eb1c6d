import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Asker } from '../../../actors/kernel/define.ts';
import type { DistributorAsk, PushOutcome } from '../../../actors/protocol/ingest.ts';
import { Delivery } from '../../../actors/source/delivery.ts';
import { mapRecords } from '../../../actors/source/mapping.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { readPushProto } from '../../../storage/batch/from-proto.ts';
import { numbers } from '../../support/checks.ts';
import { SeenPush } from '../../support/seen-push.ts';
import { recordOf, sourceOf } from '../../support/source-record.ts';

const TAKEN: PushOutcome = { acceptedLines: 1, acceptedBytes: 1 };
const { signal } = new AbortController();

interface Pushed {
  readonly instance: string;
  readonly tenant: string;
  readonly format: string;
  readonly lines: readonly string[];
}

/** Deliveries to distributors that answer so. */
function delivery(options: Record<string, unknown>, answer: (pushed: Pushed) => PushOutcome): { delivery: Delivery; pushed: Pushed[] } {
  const pushed: Pushed[] = [];
  const asker = {
    async ask(_protocol: unknown, instance: string, { format, body }: DistributorAsk, { tenant }: { tenant: string }) {
      const seen = new SeenPush();
      if (format === 'rows') readPushProto(body as Buffer, seen);
      const lines = format === 'rows' ? seen.streams.flatMap(({ entries }) => entries.map(({ line }) => String(line))) : [String(body)];
      const push = { instance, tenant, format, lines };
      pushed.push(push);
      return answer(push);
    },
  };
  const map = mapRecords(sourceOf(options));
  return { delivery: new Delivery({ asker: asker as unknown as Asker, world: fakeWorld(1), distributors: ['0', '1'], map }), pushed };
}

const LABELS = { labels: { app: 'a' } };
const records = (values: readonly string[]) => values.map((value, offset) => recordOf({ value, offset }));

test('rows go tenant by tenant, in turn to each distributor, in pushes of about a megabyte', async () => {
  const { delivery: one, pushed } = delivery({ ...LABELS, tenant_header: 'x' }, () => TAKEN);
  const long = 'x'.repeat(400_000);
  const given = ['a', 'b', 'a', 'a', 'a'].map((tenant, number) => recordOf({ value: `${number}${long}`, headers: { x: tenant } }));
  assert.deepEqual(await one.deliver(given, signal), { taken: 5, dead: [] });
  const shown = pushed.map(({ instance, tenant, lines }) => [instance, tenant, lines.map((line) => line[0]).join('')]);
  assert.deepEqual(shown, [
    ['0', 'a', '023'],
    ['1', 'b', '1'],
    ['0', 'a', '4'],
  ]);
});

test('entries that are refused are dead letters, the others are not', async () => {
  const { delivery: one, pushed } = delivery({ ...LABELS, label_from_key: 'key' }, ({ lines }) => ({
    ...TAKEN,
    acceptedLines: lines.filter((line) => !line.startsWith('bad')).length,
    fault: { code: 'bad_request', message: 'some are refused' },
    refused: lines.flatMap((line, entry) => (line.startsWith('bad') ? [{ entry, reason: 'line_too_long', message: line }] : [])),
  }));
  const values = ['good 1', 'bad 1', 'good 2', 'bad 2', 'good 3'];
  const given = values.map((value, offset) => recordOf({ value, offset, key: String(offset % 2) }));
  const { taken, dead } = await one.deliver(given, signal);
  assert.equal(taken, 3);
  assert.deepEqual(dead.map(({ record, why }) => [String(record.value), why]).sort(), [
    ['bad 1', 'line_too_long: bad 1'],
    ['bad 2', 'line_too_long: bad 2'],
  ]);
  assert.equal(pushed.length, 1);
});

/** As a distributor before a Kafka that takes no record so long: entries that are bad are named, one that is large is not taken without being named. */
function answerInPart({ lines }: Pushed): PushOutcome {
  const refused = lines.flatMap((line, entry) => (line.startsWith('bad') ? [{ entry, reason: 'line_too_long', message: line }] : []));
  const large = lines.filter((line) => line.startsWith('large'));
  const acceptedLines = lines.length - refused.length - large.length;
  if (refused.length > 0) return { ...TAKEN, acceptedLines, fault: { code: 'bad_request', message: 'some are refused' }, refused };
  return { ...TAKEN, acceptedLines, ...(large.length > 0 && { fault: { code: 'too_large', message: 'too large' } }) };
}

for (const values of [
  ['large 1', 'bad 1'],
  ['bad 1', 'good 1', 'bad 2', 'large 1', 'good 2'],
  ['large 1', 'bad 1', 'large 2', 'large 3'],
]) {
  test(`what is not taken beside entries that are refused is a dead letter too: ${values.join(', ')}`, async () => {
    const { delivery: one } = delivery(LABELS, answerInPart);
    const { taken, dead } = await one.deliver(records(values), signal);
    const reasons = values.flatMap((value) => {
      if (value.startsWith('good')) return [];
      return [[value, value.startsWith('bad') ? `line_too_long: ${value}` : 'too large']];
    });
    assert.deepEqual(dead.map(({ record, why }) => [String(record.value), why]).sort(), reasons.sort());
    assert.equal(taken, values.length - reasons.length);
  });
}

test('what is not taken for now beside entries that are refused is delivered again', async () => {
  const { delivery: one } = delivery(LABELS, (pushed) => {
    const { fault, ...others } = answerInPart(pushed);
    return { ...others, ...(fault && { fault: fault.code === 'too_large' ? { code: 'corrupt', message: 'a bug' } : fault }) };
  });
  await assert.rejects(one.deliver(records(['bad 1', 'good 1', 'large 1']), signal), { code: 'unavailable' });
});

test('where one record makes all be refused, it alone becomes a dead letter', async () => {
  const stored = new Set<string>();
  const { delivery: one } = delivery(LABELS, ({ lines }) => {
    if (lines.includes('17')) return { ...TAKEN, acceptedLines: 0, fault: { code: 'too_large', message: 'too large' } };
    for (const line of lines) stored.add(line);
    return TAKEN;
  });
  const values = numbers(50).map(String);
  const { dead } = await one.deliver(records(values), signal);
  assert.deepEqual(
    dead.map(({ record, why }) => [String(record.value), why]),
    [['17', 'too large']],
  );
  assert.equal(stored.size, 49);
});

for (const format of ['text', 'loki-push']) {
  test(`what cannot be taken for now is to be delivered again, all of it: ${format}`, async () => {
    const { delivery: one } = delivery(format === 'text' ? LABELS : { format }, ({ lines }) => {
      if (!lines.includes('{"later"}')) return TAKEN;
      return { ...TAKEN, fault: { code: 'rate_limited', message: 'slow down', retryAfterS: 7 } };
    });
    await assert.rejects(one.deliver(records(['{"now"}', '{"later"}', '{"then"}']), signal), (fault: Fault) => fault.retryAfterS === 7);
  });
}

for (const code of ['internal', 'cancelled', 'corrupt'] as const) {
  for (const [format, value] of [
    ['text', 'a'],
    ['loki-push', '{"a"}'],
  ]) {
    const options = format === 'text' ? LABELS : { format };

    test(`a bug of a distributor is nothing that a record is to blame for: ${code}, ${format}`, async () => {
      const { delivery: one } = delivery(options, () => {
        throw new Fault(code, 'a bug');
      });
      await assert.rejects(one.deliver(records([value]), signal), { code: 'unavailable' });
    });

    test(`nor is one of an ingester: ${code}, ${format}`, async () => {
      const { delivery: one } = delivery(options, () => ({ acceptedLines: 0, acceptedBytes: 0, fault: { code, message: 'a bug' } }));
      await assert.rejects(one.deliver(records([value]), signal), { code: 'unavailable' });
    });
  }
}

test('a request that is refused, in part or as a whole, is one dead letter', async () => {
  const { delivery: one } = delivery({ format: 'loki-push' }, ({ lines }) =>
    lines[0] === '{"bad"}' ? { ...TAKEN, fault: { code: 'bad_request', message: 'no' } } : TAKEN,
  );
  const { taken, dead } = await one.deliver(records(['{"1"}', '{"bad"}', '{"2"}']), signal);
  assert.deepEqual([taken, dead.map(({ why }) => why)], [2, ['no']]);
});
