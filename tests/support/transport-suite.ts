import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { crc32, MiB } from '../../ops/base/bytes.ts';
import { Fault, type FaultCode } from '../../ops/base/fault.ts';
import { realWorld } from '../../ops/base/world.ts';
import type { RequestOptions, Transport } from '../../topology/transport/transport.ts';
import { message, type PeerAsk } from './transport-peer.ts';

/** A make of Transport under test: `transport` reaches what `servePeer` serves. */
export interface TransportUnderTest {
  readonly transport: Transport;
  /** The peer ends without a word. */
  kill(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface TransportTraits {
  /** The receiver holds copies: what the sender does to its own afterwards changes nothing, and what is not plain data is refused. */
  readonly copies: boolean;
  /** Frames in shared memory are the same memory on both sides. */
  readonly sharesMemory: boolean;
  /** Why the make cannot be tested here. */
  readonly skip?: string | false;
}

const world = realWorld();
const FAR_MS = 60_000;

const later = (ms = FAR_MS): RequestOptions => ({ deadlineMs: world.clock.monotonicMs() + ms });
const fails = (code: FaultCode, text?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Fault, `not a Fault: ${error}`);
  assert.equal(error.code, code);
  if (text !== undefined) assert.match(error.message, text);
  return true;
};

/** What every make of Transport promises. */
export function transportSuite(name: string, traits: TransportTraits, open: () => Promise<TransportUnderTest>): void {
  /** One test with a make of its own. */
  const check = (what: string, body: (transport: Transport, ask: Ask, under: TransportUnderTest) => Promise<void>): void => {
    test(what, { skip: traits.skip ?? false }, async () => {
      const under = await open();
      const ask: Ask = (body, options) => under.transport.request('peer/0', message(body), { ...later(), ...options });
      try {
        await body(under.transport, ask, under);
      } finally {
        await under.close();
      }
    });
  };

  describe(`transport, ${name}: requests`, () => {
    check('plain data comes back as it was', async (_, ask) => {
      const value = {
        nothing: null,
        missing: undefined,
        yes: true,
        numbers: [0, -1, 2 ** 40, 0.1, Number.NaN, -0, Number.MAX_SAFE_INTEGER, Number.NEGATIVE_INFINITY],
        bigints: [0n, -5n, 2n ** 63n, -(2n ** 63n), 2n ** 90n],
        text: 'żółć 🪵 \0',
        nested: [[{ a: [] }], {}],
      };
      assert.deepEqual(await ask({ kind: 'echo', value }), value);
    });

    check('Uint8Arrays arrive as Buffers, wherever they are', async (_, ask) => {
      const value = { deep: [{ bytes: new Uint8Array([1, 2, 3]) }], empty: new Uint8Array(0), view: Buffer.from('pooled').subarray(2, 4) };
      const answer = (await ask({ kind: 'echo', value })) as typeof value;
      assert.deepEqual(answer, { deep: [{ bytes: Buffer.from([1, 2, 3]) }], empty: Buffer.alloc(0), view: Buffer.from('ol') });
      assert.ok(Buffer.isBuffer(answer.deep[0].bytes));
      assert.deepEqual(await ask({ kind: 'describe', frame: new Uint8Array(9) }), {
        buffer: true,
        length: 9,
        crc: crc32(new Uint8Array(9)),
      });
    });

    check('frames of 64 MiB, copied and given away', async (_, ask) => {
      const frame = Buffer.allocUnsafeSlow(64 * MiB).fill('frame of the sender ');
      const described = { buffer: true, length: frame.length, crc: crc32(frame) };
      assert.deepEqual(await ask({ kind: 'describe', frame }), described);
      const answer = (await ask({ kind: 'echo', value: frame }, { transfer: true })) as Buffer;
      assert.equal(crc32(answer), described.crc);
      if (traits.copies) assert.equal(frame.length, 0, 'the sender still has what it gave away');
    });

    check('an answer given away arrives whole', async (_, ask) => {
      assert.deepEqual(await ask({ kind: 'give_moved', size: 1_000 }), { frame: Buffer.alloc(1_000, 7) });
    });

    check('requests of one sender start in the order they were sent', async (_, ask) => {
      const numbers = Array.from({ length: 1_000 }, (_, index) => index);
      await Promise.all(numbers.map((value) => ask({ kind: 'note', value })));
      assert.deepEqual(await ask({ kind: 'noted' }), numbers);
    });

    check('the peer asks back', async (transport, ask) => {
      transport.serve('home/0', async ({ body }) => ({ heard: body }));
      assert.deepEqual(await ask({ kind: 'ask', to: 'home/0', value: 7 }), { heard: { kind: 'asked', value: 7 } });
    });

    if (traits.copies) {
      check('what the sender changes afterwards is not seen', async (_, ask) => {
        const frame = Buffer.from('as it was sent');
        const described = { buffer: true, length: frame.length, crc: crc32(frame) };
        const answer = ask({ kind: 'describe', frame });
        frame.fill(0);
        assert.deepEqual(await answer, described);
      });

      check('what is not plain data is refused by its path, in questions and answers', async (_, ask) => {
        const refused: [value: unknown, text: RegExp][] = [
          [[0, new Map()], /message body\.value\[1\] is a Map/],
          [{ at: new Date(0) }, /message body\.value\.at is a Date/],
          [new Float64Array(1), /message body\.value is a Float64Array/],
          [() => 1, /message body\.value is a function/],
        ];
        for (const [value, text] of refused) await assert.rejects(ask({ kind: 'echo', value }), fails('internal', text));
        await assert.rejects(ask({ kind: 'give_map' }), fails('internal', /message body\.found\.here is a Map/));
      });

      check('bytes that were given away cannot be sent again', async (_, ask) => {
        const frame = Buffer.allocUnsafeSlow(10);
        await ask({ kind: 'describe', frame }, { transfer: true });
        await assert.rejects(ask({ kind: 'describe', frame }), fails('internal', /moved away/));
      });
    }

    if (traits.sharesMemory) {
      check('frames in shared memory are not copied', async (_, ask) => {
        const frame = new Uint8Array(new SharedArrayBuffer(8), 2, 4);
        await ask({ kind: 'bump', frame });
        await ask({ kind: 'bump', frame }, { transfer: true });
        assert.deepEqual([...frame], [2, 0, 0, 0]);
      });
    }
  });

  describe(`transport, ${name}: faults`, () => {
    check('a fault arrives as the fault it was', async (_, ask) => {
      await assert.rejects(ask({ kind: 'fail', code: 'rate_limited', message: 'over 5 MB/s', retryAfterS: 3 }), (error) => {
        assert.ok(error instanceof Fault);
        assert.deepEqual(error.toWire(), { code: 'rate_limited', message: 'over 5 MB/s', retryAfterS: 3 });
        return true;
      });
    });

    check('any other error arrives as internal', (_, ask) => assert.rejects(ask({ kind: 'crash' }), fails('internal', /a bug/)));

    check('nobody at the address: unavailable', async (transport) => {
      for (const to of ['nobody/0', 'nobody/any', 'peer/1']) {
        await assert.rejects(transport.request(to, message({ kind: 'echo' }), later()), fails('unavailable', /nothing serves/));
      }
    });

    check('a service that was closed: unavailable, and the address is free again', async (transport, ask) => {
      const service = transport.serve('home/0', async () => 1);
      assert.throws(() => transport.serve('home/0', async () => 2), fails('exists'));
      assert.equal(await ask({ kind: 'ask', to: 'home/0', value: 0 }), 1);
      service.close();
      await assert.rejects(ask({ kind: 'ask', to: 'home/0', value: 0 }), fails('unavailable'));
      transport.serve('home/0', async () => 3);
      service.close();
      assert.equal(await ask({ kind: 'ask', to: 'home/0', value: 0 }), 3);
    });

    check('the peer ends: what is under way fails as unavailable, and so does what follows', async (transport, ask, under) => {
      const stream = transport
        .requestMany('peer/0', message({ kind: 'count', to: 1_000_000, frameBytes: 0 }), later())
        [Symbol.asyncIterator]();
      await stream.next();
      const asks = [ask({ kind: 'hang' }), ask({ kind: 'hang' })];
      const failed = Promise.all(asks.map((asked) => assert.rejects(asked, fails('unavailable'))));
      await under.kill();
      await failed;
      await assert.rejects(readAll(stream), fails('unavailable'));
      await assert.rejects(ask({ kind: 'echo', value: 1 }), fails('unavailable'));
    });

    check('closing ends what is under way', async (transport, ask) => {
      const asked = assert.rejects(ask({ kind: 'hang' }), fails('unavailable', /closed/));
      await transport.close();
      await asked;
      await assert.rejects(ask({ kind: 'echo', value: 1 }), fails('unavailable', /closed/));
    });
  });

  describe(`transport, ${name}: deadlines and cancelling`, () => {
    check('past its deadline a request is not started', async (_, ask) => {
      await assert.rejects(ask({ kind: 'note', value: 1 }, later(0)), fails('deadline'));
      assert.deepEqual(await ask({ kind: 'noted' }), []);
    });

    check('at the deadline the request fails and the peer hears of it', async (_, ask) => {
      await assert.rejects(ask({ kind: 'hang' }, later(5)), fails('deadline'));
      assert.equal(await ask({ kind: 'left' }), 'deadline');
    });

    check('no deadline at all', async (_, ask) => {
      assert.equal(await ask({ kind: 'echo', value: 1 }, { deadlineMs: Number.POSITIVE_INFINITY }), 1);
    });

    check('cancelled before: not started', async (_, ask) => {
      await assert.rejects(ask({ kind: 'note', value: 1 }, { signal: AbortSignal.abort() }), fails('cancelled'));
      assert.deepEqual(await ask({ kind: 'noted' }), []);
    });

    check('cancelled under way: fails at once and the peer hears of it', async (_, ask) => {
      const caller = new AbortController();
      const asked = ask({ kind: 'hang' }, { signal: caller.signal });
      await ask({ kind: 'echo', value: 'the peer is hanging by now' });
      caller.abort();
      await assert.rejects(asked, fails('cancelled'));
      assert.equal(await ask({ kind: 'left' }), 'cancelled');
    });

    check('the peer cancels what it asked', async (transport, ask) => {
      const left = Promise.withResolvers<FaultCode>();
      transport.serve('home/0', (_, { signal }) => {
        if (signal.aborted) left.resolve(signal.reason.code);
        signal.addEventListener('abort', () => left.resolve(signal.reason.code));
        return new Promise(() => {});
      });
      assert.equal(await ask({ kind: 'ask_and_cancel', to: 'home/0' }), 'cancelled');
      assert.equal(await left.promise, 'cancelled');
    });
  });

  describe(`transport, ${name}: streams`, () => {
    const count = (transport: Transport, ask: Omit<Extract<PeerAsk, { kind: 'count' }>, 'kind'>, options = later()) =>
      transport.requestMany('peer/0', message({ kind: 'count', ...ask }), options) as AsyncIterable<{ number: number; frame: Buffer }>;

    check('every answer, in order', async (transport) => {
      const numbers = [];
      for await (const { number, frame } of count(transport, { to: 1_000, frameBytes: 3 })) {
        numbers.push(number);
        assert.deepEqual([...frame], [number & 255, number & 255, number & 255]);
      }
      assert.deepEqual(
        numbers,
        Array.from({ length: 1_000 }, (_, index) => index + 1),
      );
    });

    check('a slow reader holds the sender back, by answers', async (transport, ask) => {
      const stream = count(transport, { to: 10_000, frameBytes: 0 })[Symbol.asyncIterator]();
      await stream.next();
      for (let turn = 0; turn < 50; turn++) await ask({ kind: 'echo', value: turn });
      assert.ok(((await ask({ kind: 'produced' })) as number) <= 100, 'produced more than a window of answers');
      assert.equal((await readAll(stream)).length, 9_999);
    });

    check('a slow reader holds the sender back, by bytes', async (transport, ask) => {
      const stream = count(transport, { to: 30, frameBytes: 4 * MiB })[Symbol.asyncIterator]();
      await stream.next();
      for (let turn = 0; turn < 50; turn++) await ask({ kind: 'echo', value: turn });
      assert.ok(((await ask({ kind: 'produced' })) as number) <= 5, 'produced more than a window of bytes');
      assert.equal((await readAll(stream)).length, 29);
    });

    check('an answer larger than the window passes', async (transport) => {
      assert.equal((await readAll(count(transport, { to: 3, frameBytes: 20 * MiB })[Symbol.asyncIterator]())).length, 3);
    });

    check('leaving the loop ends the sender', async (transport, ask) => {
      for await (const { number } of count(transport, { to: 1_000_000, frameBytes: 0 })) if (number === 3) break;
      assert.equal(await ask({ kind: 'left' }), 'returned');
    });

    check('cancelling fails the loop and ends the sender', async (transport, ask) => {
      const caller = new AbortController();
      const read = async () => {
        for await (const { number } of count(transport, { to: 1_000_000, frameBytes: 0 }, { ...later(), signal: caller.signal })) {
          if (number === 3) caller.abort();
        }
      };
      await assert.rejects(read(), fails('cancelled'));
      assert.equal(await ask({ kind: 'left' }), 'returned');
    });

    check('the deadline fails the loop and ends the sender', async (transport, ask) => {
      const stream = count(transport, { to: 1_000_000, frameBytes: 0 }, later(20))[Symbol.asyncIterator]();
      await assert.rejects(readAll(stream), fails('deadline'));
      assert.equal(await ask({ kind: 'left' }), 'returned');
    });

    check('a fault comes after the answers before it', async (transport) => {
      const numbers: number[] = [];
      const read = async () => {
        for await (const { number } of count(transport, { to: 10, frameBytes: 0, failAt: 5 })) numbers.push(number);
      };
      await assert.rejects(read(), fails('limit_exceeded', /counted to 5/));
      assert.deepEqual(numbers, [1, 2, 3, 4, 5]);
    });

    check('one answer where a stream is read, a stream where one answer is awaited', async (transport, ask) => {
      const stream = transport.requestMany('peer/0', message({ kind: 'echo', value: 'only' }), later())[Symbol.asyncIterator]();
      assert.deepEqual(await readAll(stream), ['only']);
      await assert.rejects(ask({ kind: 'count', to: 1_000_000, frameBytes: 0 }), fails('unsupported'));
      assert.equal(await ask({ kind: 'left' }), 'returned');
      await assert.rejects(ask({ kind: 'count', to: 0, frameBytes: 0 }), fails('unsupported'));
    });

    check('a stream that comes when nobody waits for it is returned unread', async (transport, ask) => {
      const returned = Promise.withResolvers<string>();
      const stream = {
        [Symbol.asyncIterator]: () => stream,
        next: async () => ({ done: true, value: returned.resolve('read') }),
        return: async () => ({ done: true, value: returned.resolve('returned') }),
      };
      transport.serve('home/0', async (_, { signal }) => {
        if (!signal.aborted) await once(signal, 'abort');
        return stream;
      });
      assert.equal(await ask({ kind: 'ask_and_cancel', to: 'home/0' }), 'cancelled');
      assert.equal(await returned.promise, 'returned');
    });

    check('streams side by side', async (transport) => {
      const lengths = await Promise.all([1, 500, 70].map(async (to) => (await readAll(counted(to))).length));
      assert.deepEqual(lengths, [1, 500, 70]);
      function counted(to: number) {
        transport.serve(`home/${to}`, async function* () {
          for (let number = 0; number < to; number++) yield number;
        });
        return transport.requestMany(`home/${to}`, message({ kind: 'count' }), later())[Symbol.asyncIterator]();
      }
    });
  });

  describe(`transport, ${name}: any, and subjects`, () => {
    check('any goes round the instances that are available', async (transport, ask) => {
      const askAny = () => transport.request('pool/any', message({ kind: 'who' }), later());
      const answers = async () => new Set(await Promise.all(Array.from({ length: 10 }, askAny)));
      assert.deepEqual(await answers(), new Set([0, 1]));
      await ask({ kind: 'set_available', pool: 0, available: false });
      assert.deepEqual(await answers(), new Set([1]));
      assert.equal(await transport.request('pool/0', message({ kind: 'who' }), later()), 0);
      await ask({ kind: 'set_available', pool: 1, available: false });
      await assert.rejects(askAny(), fails('unavailable'));
      await ask({ kind: 'set_available', pool: 0, available: true });
      assert.deepEqual(await answers(), new Set([0]));
    });

    check('a published message reaches every subscriber of its subject, near and far', async (transport, ask) => {
      const heard: unknown[] = [];
      const first = transport.subscribe('news', ({ body }) => heard.push(['first', body]));
      transport.subscribe('news', () => {
        throw new Error('a subscriber with a bug');
      });
      transport.subscribe('news', ({ body }) => heard.push(['second', body]));
      transport.subscribe('other', ({ body }) => heard.push(['other', body]));
      const news = { kind: 'said', value: 1 };
      await ask({ kind: 'echo', value: 'connected' });
      transport.publish('news', message(news));
      assert.deepEqual(await ask({ kind: 'heard' }), [news]);
      assert.deepEqual(heard, [
        ['first', news],
        ['second', news],
      ]);
      first.close();
      await ask({ kind: 'say', subject: 'news', value: 1 });
      assert.deepEqual(heard.slice(2), [['second', news]]);
    });
  });
}

type Ask = (ask: PeerAsk, options?: Partial<RequestOptions>) => Promise<unknown>;

async function readAll(stream: AsyncIterator<unknown>): Promise<unknown[]> {
  const answers = [];
  for (let step = await stream.next(); !step.done; step = await stream.next()) answers.push(step.value);
  return answers;
}
