import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { compressSync } from 'snappy';
import { Fault } from '../../../ops/base/fault.ts';
import { plainBody } from '../../../storage/batch/body.ts';

const JSON_TYPE = 'application/json';
const PROTO_TYPE = 'application/x-protobuf';
const text = Buffer.from('{"streams":[]}');
const proto = Buffer.from([0x0a, 0x02, 0x0a, 0x00]);
const MiB = 1024 * 1024;

/** A zstd frame that holds an "x" and asks for a window of 2^log bytes. */
const frameWithWindow = (log: number): Buffer => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (log - 10) << 3, 0x09, 0x00, 0x00, 0x78]);

const cases: [what: string, body: Buffer, type: string, encoding: string, form: string, bytes: Buffer][] = [
  ['plain JSON', text, JSON_TYPE, '', 'json', text],
  ['JSON with a charset', text, 'Application/JSON; charset=utf-8', '', 'json', text],
  ['JSON in gzip', gzipSync(text), JSON_TYPE, 'gzip', 'json', text],
  ['JSON in raw deflate', deflateRawSync(text), JSON_TYPE, 'deflate', 'json', text],
  ['JSON in zstd', zstdCompressSync(text), JSON_TYPE, 'zstd', 'json', text],
  ['JSON in snappy', compressSync(text), JSON_TYPE, 'snappy', 'json', text],
  ['JSON that only says it is in snappy', text, JSON_TYPE, 'snappy', 'json', text],
  ['protobuf in snappy', compressSync(proto), PROTO_TYPE, '', 'protobuf', proto],
  ['protobuf in snappy that says so', compressSync(proto), PROTO_TYPE, 'snappy', 'protobuf', proto],
  ['protobuf without a type', compressSync(proto), '', '', 'protobuf', proto],
  ['protobuf in snappy in gzip', gzipSync(compressSync(proto)), PROTO_TYPE, 'gzip', 'protobuf', proto],
  ['protobuf in zstd alone', zstdCompressSync(proto), PROTO_TYPE, 'zstd', 'protobuf', proto],
  ['a zstd frame with a window of 8 MiB', frameWithWindow(23), JSON_TYPE, 'zstd', 'json', Buffer.from('x')],
  ['nothing in snappy', compressSync(''), PROTO_TYPE, '', 'protobuf', Buffer.alloc(0)],
];
for (const [what, body, type, encoding, form, bytes] of cases) {
  test(`body: ${what}`, () => assert.deepEqual(plainBody(body, type, encoding, MiB), { form, bytes }));
}

const zeros = Buffer.alloc(40 * MiB);

const bad: [what: string, body: Buffer, type: string, encoding: string, status: number, text: RegExp][] = [
  ['an unknown encoding', text, JSON_TYPE, 'lzma', 400, /^Content-Encoding "lzma" not supported$/],
  ['text as protobuf', text, 'text/plain', '', 400, /^snappy: corrupt input$/],
  ['an empty protobuf body', Buffer.alloc(0), PROTO_TYPE, '', 400, /^snappy: corrupt input$/],
  ['deflate with a zlib header', deflateSync(text), JSON_TYPE, 'deflate', 400, /^deflate: /],
  ['gzip cut short', gzipSync(text).subarray(0, 20), JSON_TYPE, 'gzip', 400, /^gzip: /],
  ['zstd that is none', text, JSON_TYPE, 'zstd', 400, /^zstd: /],
  ['zstd cut short', zstdCompressSync(Buffer.alloc(5000, 'x')).subarray(0, 12), JSON_TYPE, 'zstd', 400, /^zstd: /],
  ['a zstd frame with a window of 16 MiB', frameWithWindow(24), JSON_TYPE, 'zstd', 400, /^zstd: /],
  ['a gzip bomb', gzipSync(zeros), JSON_TYPE, 'gzip', 413, /^request body too large: more than 1048576 bytes/],
  ['a deflate bomb', deflateRawSync(zeros), JSON_TYPE, 'deflate', 413, /^request body too large/],
  ['a zstd bomb', zstdCompressSync(zeros), JSON_TYPE, 'zstd', 413, /^request body too large/],
  ['a snappy bomb', compressSync(zeros), PROTO_TYPE, '', 413, /^request body too large: 41943040 bytes/],
  ['a snappy bomb in gzip', gzipSync(compressSync(zeros)), PROTO_TYPE, 'gzip', 413, /^request body too large/],
  ['plain text beyond the limit', zeros, JSON_TYPE, '', 413, /^request body too large/],
  ['a snappy block that claims 4 GiB', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]), PROTO_TYPE, '', 400, /^snappy: corrupt input$/],
];
for (const [what, body, type, encoding, status, message] of bad) {
  test(`body: ${what} is refused`, () =>
    assert.throws(
      () => plainBody(body, type, encoding, MiB),
      (error: unknown) => error instanceof Fault && error.status === status && message.test(error.message),
    ));
}
