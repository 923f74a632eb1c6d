import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Letter, sendLetters } from '../../../actors/source/dead-letters.ts';
import { numbers } from '../../support/checks.ts';
import { type RecordParts, recordOf } from '../../support/source-record.ts';

/** Beside keys, values and headers. */
const RECORD_BYTES = 30;
const LIMIT = 1_048_588;

const dead = (parts: RecordParts, why = 'not json') => ({ record: recordOf(parts), why });
const textOf = (letters: readonly Letter[]): string[] => letters.map(({ value }) => String(value));

function bytesOf(letters: readonly Letter[]): number {
  let bytes = 0;
  for (const { key, value, headers } of letters) {
    bytes += RECORD_BYTES + (key?.length ?? 0) + (value?.length ?? 0);
    for (const [name, content] of Object.entries(headers)) bytes += name.length + content.length;
  }
  return bytes;
}

/** Takes batches of so many bytes at most. */
function topicOf(limit: number, type = 'MESSAGE_TOO_LARGE') {
  const topic = { taken: [] as Letter[][], refused: 0 };
  const send = async (letters: Letter[]): Promise<void> => {
    if (bytesOf(letters) > limit) {
      topic.refused++;
      throw Object.assign(new Error('too large'), { type });
    }
    topic.taken.push(letters);
  };
  return { topic, send };
}

test('letters go a few at a time, each as its record was and with why it is one', async () => {
  const { topic, send } = topicOf(LIMIT);
  const values = numbers(3_000).map((number) => `${number} ${'x'.repeat(1_000)}`);
  await sendLetters(
    values.map((value, offset) => dead({ value, offset, key: 'k', partition: 2, headers: { own: 'mine' } })),
    send,
  );
  assert.deepEqual(textOf(topic.taken.flat()), values);
  assert.ok(topic.taken.length > 10 && topic.taken.every((letters) => bytesOf(letters) < 384 * 1_024));
  const [{ key, timestamp, headers }] = topic.taken[0];
  assert.deepEqual([String(key), timestamp], ['k', '1700000000123']);
  assert.deepEqual(
    { ...headers, own: String(headers.own) },
    { own: 'mine', 'millrace-reason': 'not json', 'millrace-topic': 't', 'millrace-partition': '2', 'millrace-offset': '0' },
  );
});

test('nothing is sent where there is none', async () => {
  const { topic, send } = topicOf(LIMIT);
  await sendLetters([], send);
  assert.deepEqual(topic.taken, []);
});

for (const type of ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']) {
  test(`fewer are sent at once where they are too large: ${type}`, async () => {
    const { topic, send } = topicOf(10_000, type);
    const values = numbers(200).map((number) => `${number} ${'x'.repeat(1_000)}`);
    await sendLetters(
      values.map((value) => dead({ value })),
      send,
    );
    assert.deepEqual(textOf(topic.taken.flat()), values);
  });
}

const large = 'x'.repeat(1_048_500);
for (const [what, limit, parts, kept] of [
  ['its value, to half a megabyte', LIMIT, { value: large, key: 'k' }, { valueBytes: 500_000, key: 'k' }],
  ['its value, to what the broker takes', 10_000, { value: large, key: 'k' }, { valueBytes: 4_000, key: 'k' }],
  ['its key', LIMIT, { value: 'short', key: large }, { valueBytes: 5, key: 'null' }],
  ['its headers', LIMIT, { value: 'short', key: 'k', headers: { own: large } }, { valueBytes: 5, key: 'null' }],
  ['a key without a value', LIMIT, { value: null, key: large }, { valueBytes: 0, key: 'null' }],
] as const) {
  test(`of a letter that is too large by itself, less is sent: ${what}`, async () => {
    const { topic, send } = topicOf(limit);
    await sendLetters([dead({ value: 'before' }), dead(parts), dead({ value: 'after' })], send);
    const letters = topic.taken.flat();
    assert.equal(letters.length, 3);
    const [{ key, value, headers }] = letters.filter((letter) => 'millrace-truncated' in letter.headers);
    assert.equal(headers['millrace-truncated'], String(parts.value?.length ?? 0));
    assert.equal(headers['millrace-reason'], 'not json');
    assert.ok((parts.value ?? '').startsWith(String(value ?? '')) && (value?.length ?? 0) >= kept.valueBytes);
    assert.equal(value === null, parts.value === null);
    assert.equal(String(key), kept.key);
  });
}

test('a topic that takes next to nothing is told of after a few tries', async () => {
  const { topic, send } = topicOf(20);
  await assert.rejects(sendLetters([dead({ value: large })], send), { type: 'MESSAGE_TOO_LARGE' });
  assert.ok(topic.refused < 20);
});

test('what else a broker says is no reason to send less', async () => {
  let sent = 0;
  const send = async (): Promise<void> => {
    sent++;
    throw Object.assign(new Error('no'), { type: 'NOT_ENOUGH_REPLICAS' });
  };
  await assert.rejects(sendLetters([dead({}), dead({})], send), { type: 'NOT_ENOUGH_REPLICAS' });
  assert.equal(sent, 1);
});
