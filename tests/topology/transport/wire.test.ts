import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fault } from '../../../ops/base/fault.ts';
import { detachFrame, frameBytes, withBuffers } from '../../../topology/transport/frames.ts';
import { decode, encode } from '../../../topology/transport/wire.ts';

const through = (body: unknown): unknown => {
  const { envelope, frames } = encode([], body);
  return decode(
    envelope,
    frames.map((frame) => Buffer.from(frame)),
  )[0];
};

const plain: [what: string, body: unknown][] = [
  ['nothing', null],
  ['undefined', undefined],
  ['undefined in an object', { a: undefined }],
  ['numbers', [0, -0, 1.5, -1, 2 ** 31, 2 ** 53, -(2 ** 53), Number.NaN, Number.POSITIVE_INFINITY, 5e-324]],
  ['bigints', [0n, 1n, -1n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n), 10n ** 40n]],
  ['text', ['', 'ascii', 'żółć', '🪵', '\0', 'x'.repeat(100_000)]],
  ['an object of 70,000 keys', Object.fromEntries(Array.from({ length: 70_000 }, (_, index) => [`key${index}`, index]))],
  ['keys of every sort', { '': 1, constructor: 2, '1': 3, 'a b': 4, toString: 5 }],
  ['an object without prototype', Object.assign(Object.create(null), { a: 1 })],
];
for (const [what, body] of plain) test(`plain data survives: ${what}`, () => assert.deepEqual(through(body), structuredClone(body)));

test('frames are taken out in order and put back as Buffers; the envelope holds none of their bytes', () => {
  const body = { first: new Uint8Array(1_000).fill(1), list: [Buffer.from('two'), { third: new Uint8Array(0) }] };
  const { envelope, frames } = encode([], body);
  assert.deepEqual(frames, [body.first, body.list[0], (body.list[1] as { third: Uint8Array }).third]);
  assert.ok(envelope.length < 100);
  assert.ok(body.first instanceof Uint8Array, 'the body itself is left alone');
  assert.deepEqual(through(body), { first: Buffer.alloc(1_000, 1), list: [Buffer.from('two'), { third: Buffer.alloc(0) }] });
});

test('the head comes before the body', () => {
  const { envelope, frames } = encode([1, 'to', true, null], { a: 1 });
  assert.deepEqual(decode(envelope, frames as Buffer[]), [1, 'to', true, null, { a: 1 }]);
});

class Point {
  x = 1;
}
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
const refused: [what: string, body: unknown, text: string][] = [
  ['a function', { a: [() => 1] }, 'message body.a[0] is a function, not plain data'],
  ['a symbol', Symbol('x'), 'message body is a symbol, not plain data'],
  ['a Map', { a: new Map() }, 'message body.a is a Map, not plain data'],
  ['a Set', [new Set()], 'message body[0] is a Set, not plain data'],
  ['a Date', { at: new Date(0) }, 'message body.at is a Date, not plain data'],
  ['a class instance', { at: new Point() }, 'message body.at is a Point, not plain data'],
  ['an error', new Error('x'), 'message body is a Error, not plain data'],
  ['another typed array', { times: new Float64Array(2) }, 'message body.times is a Float64Array, not plain data'],
  ['an ArrayBuffer', new ArrayBuffer(1), 'message body is a ArrayBuffer, not plain data'],
  ['a key that would be renamed', JSON.parse('{"a":{"__proto__":1}}'), 'message body.a.__proto__ cannot travel under this name'],
  ['what nests too deep', nested(300), `message body${'[0]'.repeat(200)} nests deeper than 200 levels`],
];
for (const [what, body, message] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => encode([], body),
      (error) => {
        assert.ok(error instanceof Fault);
        assert.deepEqual(error.toWire(), { code: 'internal', message });
        return true;
      },
    );
  });
}

test('an envelope that is not whole, or lacks a frame, is a fault', () => {
  const { envelope, frames } = encode([], { text: 'some text', frame: Buffer.from('x') });
  assert.throws(() => decode(envelope.subarray(0, 5), frames as Buffer[]), Fault);
  assert.throws(() => decode(envelope, []), /names a frame that did not come/);
});

test('a frame leaves as a copy of its own size, unless it is given away whole', () => {
  const large = Buffer.allocUnsafeSlow(1_000_000);
  const view = detachFrame(large.subarray(10, 20), true);
  assert.equal(view.buffer.byteLength, 10);
  assert.equal(detachFrame(Buffer.from('pooled'), true).buffer.byteLength, 6);
  assert.notEqual(detachFrame(large, false).buffer, large.buffer);
  assert.equal(detachFrame(large, true).length, 1_000_000);
  assert.equal(large.length, 0);
  assert.throws(() => detachFrame(large, false), /moved away/);
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  assert.equal(detachFrame(shared, true), shared);
});

test('bytes of a body are those of its frames', () => {
  assert.equal(frameBytes({ a: [new Uint8Array(3), 'text'], b: { c: Buffer.alloc(4) }, d: null, e: 5n }), 7);
});

test('withBuffers copies only what it has to', () => {
  const body = { same: { a: 1 }, frames: [Buffer.from('b'), new Uint8Array([1])] };
  const wrapped = withBuffers(body) as typeof body;
  assert.ok(Buffer.isBuffer(wrapped.frames[1]));
  assert.equal(wrapped.frames[1].buffer, body.frames[1].buffer);
  assert.equal(wrapped.same, body.same);
  assert.ok(!Buffer.isBuffer(body.frames[1]));
  assert.equal(withBuffers(wrapped), wrapped);
});
