import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecodedPush } from '../../../actors/distributor/decode-push.ts';
import { BASE_NS, entries, one, proto, refusedWith } from '../../support/decoded-push.ts';

const levels = (push: DecodedPush): string[] => entries(push).map(([, , , metadata]) => metadata.detected_level);

const services: [labels: string, service: string][] = [
  ['{a="1"}', 'unknown_service'],
  ['{}', 'unknown_service'],
  ['{job="j", app="a"}', 'a'],
  ['{service_name="given", app="a"}', 'given'],
  ['{service_name="", container="c"}', 'c'],
  ['{app="a", app=""}', 'a'],
];
for (const [labels, service] of services) {
  test(`push: service_name of ${labels}`, () =>
    assert.match(entries(proto([one(labels, 'x')]))[0][0], new RegExp(`service_name="${service}"`)));
}

test('push: no service_name where none is looked for', () => {
  const limits = { discoverServiceName: [] };
  assert.equal(entries(proto([one('{a="1", app="x"}', 'x')], { limits }))[0][0], '{a="1", app="x"}');
  assert.match(proto([one('{}', 'x')], { limits }).fault!.message, /^error at least one label pair is required per stream$/);
});

const levelled: [labels: string, metadata: [string, string][], line: string, level: string][] = [
  ['{a="1"}', [], 'an error', 'error'],
  ['{level="WARN"}', [], 'an error', 'warn'],
  ['{level="notice"}', [], 'an error', 'notice'],
  ['{severity="error", level="info"}', [], 'x', 'info'],
  ['{a="1"}', [['level', 'Information']], 'an error', 'info'],
  ['{a="1"}', [['Severity', 'strange']], 'an error', 'strange'],
  ['{level="debug"}', [['level', 'info']], 'x', 'debug'],
  ['{level="debug"}', [['detected_level', 'ERR']], 'x', 'error'],
  ['{a="1"}', [['detected_level', 'odd']], 'info', 'odd'],
  ['{a="1"}', [['other', 'error']], 'info', 'info'],
  ['{a="1"}', [['detected_level', '']], 'info', 'info'],
  ['{a="1"}', [['level', '']], 'info', 'info'],
  [
    '{a="1"}',
    [
      ['level', ''],
      ['severity', 'error'],
    ],
    'info',
    'error',
  ],
  ['{a="1"}', [['severity.number', '17']], 'info', 'error'],
  ['{a="1"}', [['severity_number', '']], 'info', 'info'],
  ['{level="debug"}', [['severity_number', '17']], 'info', 'debug'],
  [
    '{a="1"}',
    [
      ['severity_number', '17'],
      ['severity_text', 'warn'],
    ],
    'info',
    'warn',
  ],
  ...(
    [
      ['-1', 'trace'],
      ['0', 'unknown'],
      ['1', 'trace'],
      ['4', 'trace'],
      ['5', 'debug'],
      ['12', 'info'],
      ['13', 'warn'],
      ['20', 'error'],
      ['21', 'fatal'],
      ['24', 'fatal'],
      ['25', 'unknown'],
      ['x', 'info'],
    ] as const
  ).map(([number, level]): [string, [string, string][], string, string] => ['{a="1"}', [['severity_number', number]], 'error', level]),
];
for (const [labels, metadata, line, level] of levelled) {
  test(`push: level of ${labels} ${JSON.stringify(metadata)} ${line}`, () =>
    assert.deepEqual(levels(proto([one(labels, line, BASE_NS, metadata)])), [level]));
}

test('push: no level where none is looked for', () => {
  assert.deepEqual(entries(proto([one('{a="1"}', 'error')], { limits: { discoverLogLevels: false } }))[0][3], {});
  assert.deepEqual(entries(proto([one('{a="1"}', 'error')], { limits: { allowStructuredMetadata: false } }))[0][3], {});
  assert.deepEqual(levels(proto([one('{level="x"}', 'info')], { limits: { logLevelFields: ['lvl'] } })), ['info']);
});

test('push: a name of metadata that holds no letter or digit is refused, even without a value', () => {
  assert.throws(() => proto([one('{a="1"}', 'x', BASE_NS, [['', '']])]), refusedWith(400, /^metadata or attribute name "" holds/));
});

test('push: of metadata names that become equal, one that had to be changed counts', () => {
  for (const metadata of [
    [
      ['a.b', '1'],
      ['a_b', '2'],
    ],
    [
      ['a_b', '2'],
      ['a.b', '1'],
    ],
  ] as [string, string][][]) {
    assert.deepEqual(entries(proto([one('{a="1"}', 'x', BASE_NS, metadata)]))[0][3], { a_b: '1', detected_level: 'unknown' });
  }
});

test('push: metadata names become label names, empty values go, the last of equal names counts', () => {
  const metadata: [string, string][] = [
    ['a.b-c', '1'],
    ['9lives', '2'],
    ['__ok__', '3'],
    ['__x', '4'],
    ['é.é', 'x'],
    ['gone', ''],
    ['a/b/c', '5'],
  ];
  const wanted = { a_b_c: '5', key_9lives: '2', __ok__: '3', _x: '4', detected_level: 'unknown' };
  assert.throws(() => proto([one('{a="1"}', 'x', BASE_NS, [['é.é', 'x']])]), refusedWith(400, /holds no letter or digit/));
  assert.deepEqual(
    entries(
      proto([
        one(
          '{a="1"}',
          'x',
          BASE_NS,
          metadata.filter(([name]) => name !== 'é.é'),
        ),
      ]),
    )[0][3],
    wanted,
  );
});
