import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailboxPolicy } from '../../../actors/kernel/define.ts';
import { LiveAsk } from '../../../actors/kernel/live-ask.ts';
import { Mailbox } from '../../../actors/kernel/mailbox.ts';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';

const fails = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code;

/** A mailbox whose handlers end when the test says so. */
function setUp(policy: Partial<MailboxPolicy> = {}) {
  const world = fakeWorld(1);
  let refused = 0;
  const handled: string[] = [];
  const mailbox = new Mailbox(
    { messages: 3, bytes: 100, concurrency: 1, whenFull: 'refuse', control: ['status'], ...policy },
    world.clock,
    {
      refused: () => refused++,
      handled: (kind) => handled.push(kind),
    },
  );
  const started: string[] = [];
  const endings: ((answer: unknown) => void)[] = [];
  const deliver = (kind: string, { bytes = 0, deadlineMs = 60_000, answer = undefined as unknown } = {}) => {
    const caller = new AbortController();
    const request = {
      deadlineMs,
      signal: caller.signal,
      get over() {
        return caller.signal.reason;
      },
      transferReply: () => {},
    };
    const ask = new LiveAsk({ kind, tenant: 'a', trace: '', body: {} }, request);
    const handle = () => {
      started.push(kind);
      return (answer ?? new Promise((resolve) => endings.push(resolve))) as Promise<unknown>;
    };
    const answered = mailbox.deliver({ kind, ask, bytes, handle });
    answered.catch(() => {});
    return { answered, ask, leave: () => caller.abort(new Fault('cancelled', 'left')) };
  };
  const endNext = async (answer?: unknown) => {
    endings.shift()!(answer);
    await world.settle();
  };
  return { world, mailbox, deliver, endNext, started, handled, refused: () => refused };
}

test('asks are handled in order, so many at once', async () => {
  const { deliver, endNext, started, handled } = setUp({ concurrency: 2, messages: 10 });
  const first = deliver('a');
  for (const kind of ['b', 'c', 'd']) deliver(kind);
  assert.deepEqual(started, ['a', 'b']);
  await endNext('answer of a');
  assert.equal(await first.answered, 'answer of a');
  assert.deepEqual(started, ['a', 'b', 'c']);
  await endNext();
  assert.deepEqual(started, ['a', 'b', 'c', 'd']);
  assert.deepEqual(handled, ['a', 'b']);
});

test('over the number of messages an ask is refused, with a time to retry', async () => {
  const { deliver, endNext, mailbox, refused } = setUp();
  for (const kind of ['a', 'b', 'c']) deliver(kind);
  await assert.rejects(deliver('d').answered, (error) => {
    assert.ok(error instanceof Fault);
    assert.deepEqual([error.code, error.retryAfterS], ['mailbox_full', 1]);
    assert.match(error.message, /3 of 3 messages and 0 of 100 bytes/);
    return true;
  });
  assert.equal(refused(), 1);
  await endNext();
  assert.equal(mailbox.messages, 2);
  deliver('e');
  assert.equal(mailbox.messages, 3);
});

test('the time to retry grows with what is waiting', async () => {
  const { deliver, endNext, world } = setUp({ messages: 100 });
  deliver('slow');
  await world.advance(16_000);
  await endNext(); // the average is 1 s now
  for (let count = 0; count < 100; count++) deliver('a');
  await assert.rejects(deliver('b').answered, (error) => error instanceof Fault && error.retryAfterS === 30);
});

test('over the number of bytes an ask is refused; one that can never fit is too large', async () => {
  const { deliver, endNext, mailbox } = setUp();
  deliver('a', { bytes: 60 });
  await assert.rejects(deliver('b', { bytes: 41 }).answered, fails('mailbox_full'));
  deliver('c', { bytes: 40 });
  assert.equal(mailbox.bytes, 100);
  await assert.rejects(deliver('d', { bytes: 101 }).answered, fails('too_large'));
  await endNext();
  assert.equal(mailbox.bytes, 40);
});

test('control kinds are handled at once and never refused', () => {
  const { deliver, started, refused } = setUp();
  for (const kind of ['a', 'b', 'c']) deliver(kind);
  deliver('status', { bytes: 1_000 });
  assert.deepEqual(started, ['a', 'status']);
  assert.equal(refused(), 0);
});

test('expired asks make room before anyone is refused, and are never started', async () => {
  const { deliver, endNext, world, started } = setUp();
  deliver('a');
  const late = deliver('b', { deadlineMs: 10 });
  deliver('c');
  await assert.rejects(deliver('d').answered, fails('mailbox_full'));
  await world.advance(10);
  const taken = deliver('e');
  await assert.rejects(late.answered, fails('deadline'));
  await endNext();
  await endNext();
  await endNext('e');
  assert.equal(await taken.answered, 'e');
  assert.deepEqual(started, ['a', 'c', 'e']);
});

test('an ask whose turn comes after its deadline is not started', async () => {
  const { deliver, endNext, world, started } = setUp();
  deliver('a');
  const late = deliver('b', { deadlineMs: 10 });
  deliver('c');
  await world.advance(10);
  await endNext();
  await assert.rejects(late.answered, fails('deadline'));
  assert.deepEqual(started, ['a', 'c']);
});

test('a caller that left makes room too, and is not started', async () => {
  const { deliver, endNext, mailbox, started } = setUp();
  deliver('a');
  const left = deliver('b', { bytes: 100 });
  deliver('c');
  left.leave();
  deliver('d');
  await assert.rejects(left.answered, fails('cancelled'));
  assert.deepEqual([mailbox.messages, mailbox.bytes], [3, 0]);
  for (let count = 0; count < 3; count++) await endNext();
  assert.deepEqual(started, ['a', 'c', 'd']);
  assert.equal(mailbox.messages, 0);
});

test('a caller that left while waiting is not started when its turn comes', async () => {
  const { deliver, endNext, started } = setUp();
  deliver('a');
  const left = deliver('b');
  deliver('c');
  left.leave();
  await endNext();
  await assert.rejects(left.answered, fails('cancelled'));
  assert.deepEqual(started, ['a', 'c']);
});

test('a stream holds its place to its end', async () => {
  const { deliver, mailbox, started } = setUp();
  const answer = (async function* () {
    yield 1;
    yield 2;
  })();
  const stream = (await deliver('a', { bytes: 5, answer }).answered) as AsyncIterable<number>;
  deliver('b');
  const numbers = [];
  for await (const number of stream) {
    assert.equal(mailbox.messages, 2);
    numbers.push(number);
  }
  assert.deepEqual(numbers, [1, 2]);
  assert.deepEqual(started, ['a', 'b']);
  assert.deepEqual([mailbox.messages, mailbox.bytes], [1, 0]);
});

test('a stream that is left, or never read, gives its place back', async () => {
  const { deliver, mailbox } = setUp();
  for (const read of [0, 1]) {
    const answer = (async function* () {
      for (;;) yield 1;
    })();
    const stream = (await deliver('a', { answer }).answered) as AsyncIterator<number>;
    for (let count = 0; count < read; count++) await stream.next();
    await stream.return!();
    assert.equal(mailbox.messages, 0);
  }
});

test('closed, it fails what is waiting and lets the rest end', async () => {
  const { deliver, endNext, mailbox } = setUp();
  const handled = deliver('a');
  const waiting = deliver('b');
  mailbox.close(new Fault('unavailable', 'closing'));
  await assert.rejects(waiting.answered, fails('unavailable'));
  await assert.rejects(deliver('c').answered, fails('unavailable'));
  await assert.rejects(deliver('status').answered, fails('unavailable'));
  let idle = false;
  const whenIdle = mailbox.whenIdle().then(() => {
    idle = true;
  });
  await endNext('done');
  assert.equal(await handled.answered, 'done');
  await whenIdle;
  assert.ok(idle);
});

test('abandoned, it fails what is being handled and aborts its signal', async () => {
  const { deliver, mailbox } = setUp({ concurrency: 2 });
  const answer = (async function* () {
    yield 1;
    await new Promise(() => {});
  })();
  const handled = deliver('a');
  const stream = (await deliver('b', { answer }).answered) as AsyncIterator<number>;
  await stream.next();
  const step = stream.next();
  const { signal } = handled.ask;
  mailbox.abandon(new Fault('unavailable', 'gone'));
  await assert.rejects(handled.answered, fails('unavailable'));
  await assert.rejects(step, fails('unavailable'));
  assert.equal(signal.reason.code, 'unavailable');
});

test('a stop does not wait for streams of endless kinds', async () => {
  const { mailbox, deliver } = setUp({ endless: ['watch'], concurrency: 2 });
  async function* endless(): AsyncGenerator<string> {
    yield 'first';
    await new Promise(() => {});
  }
  const { answered } = deliver('watch', { answer: endless() });
  await answered;
  await mailbox.whenIdle();
  const finite = deliver('count', { answer: endless() });
  await finite.answered;
  let idle = false;
  void mailbox.whenIdle().then(() => {
    idle = true;
  });
  await Promise.resolve();
  assert.equal(idle, false);
});
