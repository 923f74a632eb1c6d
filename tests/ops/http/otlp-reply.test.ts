import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import { otlpFaultReply } from '../../../ops/http/otlp-reply.ts';

const TRACE = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

function reply(type: string, code: FaultCode, message: string, retryAfterS?: number) {
  const fault = new Fault(code, message, retryAfterS === undefined ? {} : { retryAfterS });
  const {
    status,
    type: replied,
    body,
    headers,
  } = otlpFaultReply(fault, TRACE, { header: (name) => (name === 'content-type' ? type : '') });
  return { status, type: replied, body: typeof body === 'string' ? body : Buffer.concat(body!), retryAfter: headers?.['retry-after'] };
}

const statusOf = (message: string, ...length: number[]): Buffer => Buffer.concat([Buffer.from([0x12, ...length]), Buffer.from(message)]);

const JSON_REPLY = 'application/json; charset=UTF-8';
const PROTO_REPLY = 'application/x-protobuf';
const cases: [what: string, type: string, code: FaultCode, message: string, expected: object][] = [
  ['to protobuf', PROTO_REPLY, 'bad_request', 'no é', { status: 400, type: PROTO_REPLY, body: statusOf('no é', 5), retryAfter: undefined }],
  [
    'to JSON',
    'application/json',
    'too_large',
    'a "b"',
    { status: 413, type: JSON_REPLY, body: '{"message":"a \\"b\\""}', retryAfter: undefined },
  ],
  [
    'to JSON with a charset',
    'Application/JSON; charset=utf-8',
    'too_large',
    'a',
    { status: 413, type: JSON_REPLY, body: '{"message":"a"}', retryAfter: undefined },
  ],
  [
    'to another type',
    'text/plain',
    'no_valid_stream',
    'a',
    { status: 422, type: PROTO_REPLY, body: statusOf('a', 1), retryAfter: undefined },
  ],
  [
    'of 127 bytes',
    '',
    'bad_request',
    'x'.repeat(127),
    { status: 400, type: PROTO_REPLY, body: statusOf('x'.repeat(127), 127), retryAfter: undefined },
  ],
  [
    'of 128 bytes',
    '',
    'bad_request',
    'x'.repeat(128),
    { status: 400, type: PROTO_REPLY, body: statusOf('x'.repeat(128), 128, 1), retryAfter: undefined },
  ],
  [
    'of 20,000 bytes',
    '',
    'bad_request',
    'x'.repeat(20_000),
    { status: 400, type: PROTO_REPLY, body: statusOf('x'.repeat(20_000), 160, 156, 1), retryAfter: undefined },
  ],
  ['to be tried again', '', 'rate_limited', 'a', { status: 429, type: PROTO_REPLY, body: statusOf('a', 1), retryAfter: '1' }],
  [
    'about our insides, which clients are to try again',
    'application/json',
    'internal',
    'secret',
    { status: 503, type: JSON_REPLY, body: `{"message":"internal error, trace id ${'a'.repeat(32)}"}`, retryAfter: undefined },
  ],
];
for (const [what, type, code, message, expected] of cases)
  test(`OTLP fault ${what}`, () => assert.deepEqual(reply(type, code, message), expected));
