import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { readPushProto } from '../../../storage/batch/from-proto.ts';
import { entry, field, integer, pushRequest, timestamp, varint } from '../../support/push-proto.ts';
import { SeenPush, type SeenStream } from '../../support/seen-push.ts';

function read(bytes: Buffer): SeenStream[] {
  const seen = new SeenPush();
  assert.equal(readPushProto(bytes, seen), seen.streams.length);
  return seen.streams;
}

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof Fault && error.code === 'bad_request' && pattern.test(error.message);

test('protobuf push: streams, entries, metadata', () => {
  const bytes = pushRequest([
    {
      labels: '{a="b"}',
      entries: [
        {
          ns: 1_700_000_000_123_456_789n,
          line: 'one',
          metadata: [
            ['k', 'v'],
            ['k2', ''],
          ],
        },
        { ns: 0n, line: '' },
      ],
    },
    { labels: '{}', entries: [] },
  ]);
  const [first, second] = read(bytes);
  assert.equal(first.labels, '{a="b"}');
  assert.equal(first.rows, 2);
  assert.deepEqual(first.entries, [
    { seconds: 1_700_000_000, nanos: 123_456_789, line: Buffer.from('one'), pairs: ['k', 'v', 'k2', ''] },
    { seconds: 0, nanos: 0, line: Buffer.from(''), pairs: [] },
  ]);
  assert.deepEqual(second, { labels: '{}', rows: 0, lineBytes: 0, entries: [] });
});

test('protobuf push: the room asked for holds all lines', () => {
  const [stream] = read(
    pushRequest([
      {
        labels: '{}',
        entries: [
          { ns: 5n, line: 'x'.repeat(300) },
          { ns: 6n, line: 'y' },
        ],
      },
    ]),
  );
  assert.ok(stream.lineBytes >= 301);
});

test('protobuf push: labels behind the entries, unknown fields, the last of equal fields', () => {
  const odd = Buffer.concat([
    integer(7, 5),
    field(1, entry({ ns: 5n, line: 'x' }), field(9, 'later'), field(1, '{a="1"}'), field(1, '{a="2"}'), integer(3, 12)),
  ]);
  const [stream] = read(odd);
  assert.equal(stream.labels, '{a="2"}');
  assert.equal(stream.entries[0].line.toString(), 'x');
  const twice = field(
    1,
    field(2, timestamp(5n), field(2, 'first'), Buffer.concat([varint((6 << 3) | 5), Buffer.alloc(4)]), field(2, 'second')),
  );
  assert.equal(read(twice)[0].entries[0].line.toString(), 'second');
});

test('protobuf push: a line keeps bytes that are not UTF-8', () => {
  const line = Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x00]);
  assert.deepEqual(read(pushRequest([{ labels: '{}', entries: [{ ns: 5n, line }] }]))[0].entries[0].line, line);
});

test('protobuf push: times out of range', () => {
  const seconds = (value: bigint): number => read(field(1, field(2, field(1, integer(1, value)), field(2, 'x'))))[0].entries[0].seconds;
  assert.equal(seconds(-5n), -5);
  assert.equal(seconds(2n ** 60n), Number.POSITIVE_INFINITY);
  assert.equal(seconds(2n ** 63n - 1n), Number.POSITIVE_INFINITY);
  assert.equal(seconds(-(2n ** 63n)), Number.NEGATIVE_INFINITY);
  assert.equal(read(field(1, field(2, field(2, 'no time'))))[0].entries[0].seconds, Number.NEGATIVE_INFINITY);
});

const bad: [what: string, bytes: Buffer, text: RegExp][] = [
  ['a length beyond the end', Buffer.from([0x0a, 0x05, 0x0a]), /unexpected end/],
  [
    'a field one byte beyond its message',
    Buffer.concat([field(1, Buffer.from([0x0a, 0x02, 0x61])), field(1, field(1, '{}'))]),
    /unexpected end/,
  ],
  ['a varint without an end', Buffer.from([0x0a, 0xff, 0xff]), /unexpected end/],
  ['a varint of eleven bytes', Buffer.concat([Buffer.from([0x0a]), Buffer.alloc(11, 0xff)]), /overflow/],
  ['field number 0', Buffer.from([0x02, 0x00]), /illegal tag/],
  ['a group', Buffer.from([0x3b, 0x3c]), /illegal wire type/],
  ['streams of another type', integer(1, 5), /wrong wire type 0 of field 1/],
  ['labels of another type', field(1, integer(1, 5)), /wrong wire type 0 of field 1/],
  ['a line of another type', field(1, field(2, timestamp(5n), integer(2, 5))), /wrong wire type 0 of field 2/],
  ['metadata of another type', field(1, field(2, timestamp(5n), integer(3, 5))), /wrong wire type 0 of field 3/],
  ['seconds of another type', field(1, field(2, field(1, field(1, 'x')))), /wrong wire type 2 of field 1/],
  [
    'a metadata value of another type',
    field(1, field(2, timestamp(5n), field(3, field(1, 'k'), integer(2, 5)))),
    /wrong wire type 0 of field 2/,
  ],
  ['nanoseconds beyond a second', field(1, field(2, field(1, integer(2, 1_000_000_000)))), /nanoseconds/],
  ['a fixed field cut short', Buffer.from([0x3d, 0x00]), /unexpected end/],
];
for (const [what, bytes, text] of bad) test(`protobuf push: ${what} is refused`, () => assert.throws(() => read(bytes), refused(text)));
