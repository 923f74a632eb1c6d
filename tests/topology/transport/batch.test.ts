import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { type Batch, Outbox, openBatch } from '../../../topology/transport/batch.ts';
import { sizeOf } from '../../../topology/transport/parcel.ts';
import { encode } from '../../../topology/transport/wire.ts';

/** What arrives of bodies that are added in one turn. */
async function through(bodies: readonly unknown[], transfer = false): Promise<{ body: unknown; sizeBytes: number }[]> {
  const { port1, port2 } = new MessageChannel();
  const outbox = new Outbox(port1);
  const posted = new Promise<Batch>((resolve) => port2.once('message', resolve));
  for (const body of bodies) outbox.add(encode([], body), transfer);
  const arrived: { body: unknown; sizeBytes: number }[] = [];
  openBatch(await posted, ([body], sizeBytes) => arrived.push({ body, sizeBytes }));
  port1.close();
  return arrived;
}

const LENGTHS = [0, 1, 7, 8, 9, 4_095, 8_191, 8_192, 8_193, 100_000];

test('frames of any length arrive in their places, of parcels of one turn each in its own', async () => {
  const bodies = LENGTHS.map((length, index) => ({
    index,
    frames: LENGTHS.slice(0, index + 1).map((other) => Buffer.alloc(other, 1 + ((other + length) % 251))),
    name: 'x'.repeat(index),
  }));
  const arrived = await through(bodies);
  assert.deepEqual(
    arrived.map(({ body }) => body),
    bodies,
  );
  assert.deepEqual(
    arrived.map(({ sizeBytes }) => sizeBytes),
    bodies.map((body) => sizeOf(encode([], body))),
  );
});

test('short frames begin at a multiple of 8, so that columns are read where they are', async () => {
  const [{ body }] = await through([{ a: 'odd', frames: [Buffer.alloc(3), Buffer.alloc(9), Buffer.alloc(16)] }]);
  for (const frame of (body as { frames: Buffer[] }).frames) assert.equal(frame.byteOffset % 8, 0);
});

test('a short frame is copied at once: its sender may use the memory for something else in the same turn', async () => {
  const { port1, port2 } = new MessageChannel();
  const outbox = new Outbox(port1);
  const frame = Buffer.alloc(100, 1);
  outbox.add(encode([], { frame }), false);
  frame.fill(2);
  const batch = await new Promise<Batch>((resolve) => port2.once('message', resolve));
  openBatch(batch, ([body]) => assert.deepEqual(body, { frame: Buffer.alloc(100, 1) }));
  port1.close();
});

test('shared memory is not copied', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(10_000));
  const [{ body }] = await through([{ shared }]);
  const arrived = (body as { shared: Buffer }).shared;
  shared[9_999] = 5;
  assert.equal(arrived[9_999], 5);
});

test('a frame that was moved away before is a fault, short or long', () => {
  const { port1 } = new MessageChannel();
  const outbox = new Outbox(port1);
  for (const length of [10, 10_000]) {
    const frame = new Uint8Array(length);
    frame.buffer.transfer();
    assert.throws(() => outbox.add(encode([], { frame }), false), /moved away/);
  }
  port1.close();
});

test('tens of thousands of short frames are one post of one buffer', async () => {
  const frames = Array.from({ length: 50_000 }, (_, index) => Buffer.from(String(index)));
  const [{ body }] = await through([{ frames }]);
  const arrived = (body as { frames: Buffer[] }).frames;
  assert.deepEqual(arrived, frames);
  assert.equal(new Set(arrived.map(({ buffer }) => buffer)).size, 1);
});
