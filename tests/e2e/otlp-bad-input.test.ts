import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { MiB } from '../../ops/base/bytes.ts';
import { nowNs, post } from '../support/client.ts';
import { fixed64, keyValue } from '../support/otlp.ts';
import { field } from '../support/push-proto.ts';
import { TestServer } from '../support/server.ts';

const MEMORY_LIMIT = 600 * MiB;

let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(async () => {
  const peak = server.process.peakMemory();
  await server[Symbol.asyncDispose]();
  assert.ok(peak <= MEMORY_LIMIT, `the process took ${Math.round(peak / MiB)} MiB at its peak`);
});

/** Bytes of a request for every one that is sent. */
const OTLP_BYTES = 16 * MiB;
const many = (piece: Buffer): Buffer => Buffer.alloc(OTLP_BYTES - (OTLP_BYTES % piece.length), piece);
const otlpRecord = (...parts: Buffer[]): Buffer => field(1, field(2, field(2, Buffer.concat(parts))));
const otlpNow = (): Buffer => field(2, fixed64(1, nowNs()));
const deepJson = '{"arrayValue":{"values":['.repeat(500_000);

const swelling: [what: string, type: string, body: () => Buffer, status: number, message: RegExp][] = [
  ['garbage', 'application/x-protobuf', () => Buffer.from('hello'), 400, /proto/],
  ['records without a time', 'application/x-protobuf', () => field(1, field(2, many(field(2)))), 400, /records without a time/],
  ['attributes', 'application/x-protobuf', () => otlpRecord(many(keyValue(6, 'a', 1))), 413, /more than 65536 pairs/],
  ['nested values', 'application/x-protobuf', () => otlpRecord(field(5, field(5, many(field(1))))), 400, /more than 262144 attributes/],
  [
    'text that JSON escapes',
    'application/x-protobuf',
    () => otlpRecord(field(5, field(5, field(1, field(1, many(Buffer.of(1))))))),
    400,
    /characters/,
  ],
  [
    'attributes of a resource, for many records',
    'application/x-protobuf',
    () => field(1, field(1, many(keyValue(1, 'k', 'v')).subarray(0, 9 * 100)), field(2, many(otlpNow()))),
    413,
    /too large/,
  ],
  [
    'values nested half a million deep',
    'application/json',
    () => Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${deepJson}`),
    400,
    /nested/,
  ],
];
for (const [what, type, body, status, message] of swelling) {
  test(`OTLP: ${what}, refused, four at once`, async () => {
    const headers = { 'content-type': type, 'content-encoding': 'gzip' };
    const zipped = Uint8Array.from(gzipSync(body(), { level: 1 }));
    const answers = await Promise.all(Array.from({ length: 4 }, () => post(`${server.url}/otlp/v1/logs`, zipped, headers)));
    for (const answer of answers) {
      assert.equal(answer.status, status, answer.text.slice(0, 500));
      assert.match(answer.text, message);
    }
  });
}
