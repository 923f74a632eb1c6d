import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '../../../ops/base/bytes.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { kafkaOptions } from '../../../storage/kafka/options.ts';
import { wrongSettings } from '../../../storage/kafka/topic.ts';

const options = { ...defaultsOf(kafkaOptions), producerMaxRecordSizeBytes: 4 * MiB };
const GOOD = {
  'cleanup.policy': 'delete',
  'max.message.bytes': String(5 * MiB),
  'message.timestamp.type': 'LogAppendTime',
  'unclean.leader.election.enable': 'false',
  'min.insync.replicas': '1',
};

const wrong = (
  changed: Readonly<Record<string, string | undefined>>,
  changedOptions: Partial<typeof options> = {},
  copies = 1,
): string[] => {
  const settings = Object.entries({ ...GOOD, ...changed }).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return wrongSettings(new Map(settings), { ...options, ...changedOptions }, copies);
};

const cases: [what: string, settings: Record<string, string | undefined>, says: RegExp[]][] = [
  ['just as they have to be', {}, []],
  ['more room than is needed', { 'max.message.bytes': String(100 * MiB) }, []],
  ['what is not looked at', { 'retention.ms': '1' }, []],
  ['leaders that lack records', { 'unclean.leader.election.enable': 'true' }, [/unclean\.leader\.election\.enable is true.*make it false/]],
  ['a byte too little', { 'max.message.bytes': String(5 * MiB - 1) }, [/max\.message\.bytes is 5242879, and batches may have 5242880/]],
  ['what brokers have by default', { 'max.message.bytes': '1048588' }, [/1048588.*-kafka\.producer-max-record-size-bytes/]],
  ['compaction', { 'cleanup.policy': 'compact' }, [/cleanup\.policy is compact.*make it delete/]],
  ['compaction as well', { 'cleanup.policy': 'compact,delete' }, [/cleanup\.policy is compact,delete/]],
  ['times of producers', { 'message.timestamp.type': 'CreateTime' }, [/message\.timestamp\.type is CreateTime: make it LogAppendTime/]],
  ['no policy', { 'cleanup.policy': undefined }, [/cleanup\.policy/]],
  ['no kind of times', { 'message.timestamp.type': undefined }, [/message\.timestamp\.type/]],
  [
    'everything wrong',
    { 'cleanup.policy': 'compact', 'max.message.bytes': '0', 'message.timestamp.type': 'CreateTime' },
    [/cleanup\.policy/, /max\.message\.bytes/, /message\.timestamp\.type/],
  ],
];
for (const [what, settings, says] of cases) {
  test(`settings of the ingest topic: ${what}`, () => {
    const texts = wrong(settings);
    assert.equal(texts.length, says.length, texts.join('\n'));
    for (const [index, text] of texts.entries()) assert.match(text, says[index]);
  });
}

test('larger records need more room in the topic', () => {
  assert.deepEqual(wrong({}, { producerMaxRecordSizeBytes: 4 * MiB }), []);
  assert.equal(wrong({}, { producerMaxRecordSizeBytes: 4 * MiB + 1 }).length, 1);
});

test('of several copies one is not enough', () => {
  assert.deepEqual(wrong({ 'min.insync.replicas': '2' }, {}, 3), []);
  assert.deepEqual(wrong({}, {}, 1), []);
  assert.match(wrong({}, {}, 3).join(), /min\.insync\.replicas is 1, so that one of 3 copies .*: make it 2/);
});
