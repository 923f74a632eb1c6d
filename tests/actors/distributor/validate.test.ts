import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TenantLimits } from '../../../actors/limits.ts';
import { BASE_NS, entries, one, proto } from '../../support/decoded-push.ts';
import type { ProtoStream } from '../../support/push-proto.ts';

const label = (name: string, value: string): string => `{${name}="${value}"}`;
const many = (count: number): string => `{${Array.from({ length: count }, (_, n) => `l${n + 10}="v"`).join(', ')}}`;
const metadataOf = (count: number): [string, string][] => Array.from({ length: count }, (_, n) => [`k${n}`, 'v']);
const old = (ms: number): bigint => BASE_NS - BigInt(ms) * 1_000_000n;
const DAY = 86_400_000;

const taken: [what: string, stream: ProtoStream, limits?: Partial<TenantLimits>][] = [
  ['15 labels beside service_name', one(many(15), 'x')],
  ['a label name of 1024 bytes', one(label('p'.repeat(1024), 'v'), 'x')],
  ['a label value of 2048 bytes', one(label('p', 'v'.repeat(2048)), 'x')],
  ['an entry of just a week', one('{a="1"}', 'x', old(7 * DAY))],
  ['an entry in ten minutes', one('{a="1"}', 'x', old(-600_000))],
  ['a line of 256 KiB', one('{a="1"}', 'x'.repeat(256 * 1024))],
  ['128 metadata pairs', one('{a="1"}', 'x', BASE_NS, metadataOf(128))],
  ['any age', one('{a="1"}', 'x', 1n), { rejectOldSamples: false }],
  ['any line', one('{a="1"}', 'x'.repeat(300 * 1024)), { maxLineSize: 0 }],
];
for (const [what, stream, limits] of taken) {
  test(`push: takes ${what}`, () => {
    const { lines, fault } = proto([stream], limits === undefined ? {} : { limits });
    assert.deepEqual([lines, fault], [1, undefined]);
  });
}

const STREAM = `stream '{a="1", service_name="unknown_service"}'`;
const refused: [reason: string, stream: ProtoStream, message: string, limits?: Partial<TenantLimits>][] = [
  [
    'max_label_names_per_series',
    one(many(16), 'x'),
    `entry for stream '${many(16).slice(0, -1)}, service_name="unknown_service"}' has 16 label names; limit 15`,
  ],
  [
    'label_name_too_long',
    one(label('p'.repeat(1025), 'v'), 'x'),
    `stream '{${'p'.repeat(1025)}="v", service_name="unknown_service"}' has label name too long: '${'p'.repeat(1025)}'`,
  ],
  [
    'label_value_too_long',
    one(label('a', 'v'.repeat(2049)), 'x'),
    `stream '{a="${'v'.repeat(2049)}", service_name="unknown_service"}' has label value too long: '${'v'.repeat(2049)}'`,
  ],
  [
    'label_value_too_long', // and not the label that is missing
    one(label('a', 'v'.repeat(2049)), 'x'),
    `stream '{a="${'v'.repeat(2049)}", service_name="unknown_service"}' has label value too long: '${'v'.repeat(2049)}'`,
    { enforcedLabels: ['other'] },
  ],
  [
    'duplicate_label_names',
    one('{b="2",a="2",b="1",a="1"}', 'x'),
    `stream '{a="2", a="1", b="2", b="1", service_name="unknown_service"}' has duplicate label name: 'a'`,
  ],
  [
    'missing_enforced_labels',
    one('{a="1"}', 'x'),
    `missing required labels 'other,env' for user 'fake' for ${STREAM} (policy: '')`,
    { enforcedLabels: ['other', 'env'] },
  ],
  [
    'greater_than_max_sample_age',
    one('{a="1"}', 'x', old(7 * DAY) - 1n),
    `entry for ${STREAM} has timestamp too old: 2026-01-08T10:29:59Z, oldest acceptable timestamp is: 2026-01-08T10:30:00Z`,
  ],
  ['too_far_in_future', one('{a="1"}', 'x', old(-600_000) + 1n), `entry for ${STREAM} has timestamp too new: 2026-01-15T10:40:00Z`],
  [
    'line_too_long',
    one('{a="1"}', 'x'.repeat(11)),
    `max entry size '10' bytes exceeded for ${STREAM} while adding an entry with length '11' bytes`,
    { maxLineSize: 10 },
  ],
  [
    'disallowed_structured_metadata',
    one('{a="1"}', 'x', BASE_NS, [['k', 'v']]),
    `${STREAM} includes structured metadata, but this feature is disallowed. Please see \`limits_config.allow_structured_metadata\` or contact your Loki administrator to enable it`,
    { allowStructuredMetadata: false },
  ],
  [
    'structured_metadata_too_large',
    one('{a="1"}', 'x', BASE_NS, [['k', 'value']]),
    `${STREAM} has structured metadata too large: '6' bytes, limit: '5' bytes. Please see \`limits_config.max_structured_metadata_size\` or contact your Loki administrator to increase it`,
    { maxStructuredMetadataSize: 5 },
  ],
  [
    'structured_metadata_too_many',
    one('{a="1"}', 'x', BASE_NS, metadataOf(129)),
    `${STREAM} has too many structured metadata labels: '129', limit: '128'. Please see \`limits_config.max_structured_metadata_entries_count\` or contact your Loki administrator to increase it`,
  ],
];
for (const [reason, stream, message, limits] of refused) {
  test(`push: ${reason}, the rest is kept`, () => {
    const push = proto([stream, one('{other="1", env="x"}', 'kept')], limits === undefined ? {} : { limits });
    assert.equal(push.fault?.status, 400);
    assert.deepEqual(
      push.discarded.map(({ lines, ...item }) => [item.reason, lines]),
      [[reason, 1]],
    );
    assert.equal(push.fault?.message, message);
    assert.deepEqual(
      entries(push).map(([, , line]) => line),
      ['kept'],
    );
  });
}

test('push: refusals are counted by reason and told once each', () => {
  const long = { ns: BASE_NS, line: 'x'.repeat(20) };
  const push = proto(
    [
      { labels: '{a="1"}', entries: [long, long, { ns: 1n, line: 'abc' }, { ns: BASE_NS, line: 'ok' }] },
      {
        labels: '{a="2",a="1"}',
        entries: [
          { ns: BASE_NS, line: 'no' },
          { ns: BASE_NS, line: 'no' },
        ],
      },
    ],
    { limits: { maxLineSize: 10 } },
  );
  assert.deepEqual(push.discarded, [
    { reason: 'line_too_long', lines: 2, bytes: 40 },
    { reason: 'greater_than_max_sample_age', lines: 1, bytes: 3 },
    { reason: 'duplicate_label_names', lines: 2, bytes: 4 },
  ]);
  assert.deepEqual([push.lines, push.bytes], [1, 2]);
  assert.match(push.fault!.message, /^2 errors like: max entry size .*; 1 errors like: entry for stream .*; 1 errors like: stream .*$/);
});

test('push: a client is not told ten thousand things', () => {
  const entriesOf = Array.from({ length: 10_000 }, (_, n) => ({ ns: BigInt(n) * 1_000_000_000n, line: 'x' }));
  const push = proto([{ labels: '{a="1"}', entries: entriesOf }]);
  assert.equal(push.discarded[0].lines, 10_000);
  assert.ok(push.fault!.message.length < 4_000);
  assert.match(push.fault!.message, /; 9990 other errors$/);
});

test('push: long lines are cut where the tenant wants that', () => {
  const limits = { maxLineSize: 10, maxLineSizeTruncate: true };
  const line = (more: Partial<TenantLimits>): string =>
    entries(proto([one('{a="1"}', 'x error and more')], { limits: { ...limits, ...more } }))[0][2];
  assert.equal(line({}), 'x error an');
  assert.equal(line({ maxLineSizeTruncateIdentifier: '...' }), 'x error...');
});

test('push: an entry far behind others of its stream is taken', () => {
  assert.equal(proto([{ labels: '{a="1"}', entries: [BASE_NS, old(5 * DAY), BASE_NS].map((ns) => ({ ns, line: 'x' })) }]).lines, 3);
});
