import { crc32 } from '../../ops/base/bytes.ts';
import { Fault, type FaultCode } from '../../ops/base/fault.ts';
import type { Handler, Message, Transport } from '../../topology/transport/transport.ts';

/** What the far side of {@link transportSuite} answers, by kind. It is served as `peer/0`, in whatever place the make under test reaches. */
export type PeerAsk =
  | { kind: 'echo'; value: unknown }
  | { kind: 'describe'; frame: Uint8Array }
  | { kind: 'note'; value: number }
  | { kind: 'noted' }
  | { kind: 'fail'; code: FaultCode; message: string; retryAfterS: number }
  | { kind: 'crash' }
  | { kind: 'give_map' }
  | { kind: 'give_moved'; size: number }
  | { kind: 'hang' } // until the caller leaves
  | { kind: 'left' } // why the caller of `hang` or `count` left, once it has
  | { kind: 'count'; to: number; frameBytes: number; failAt?: number }
  | { kind: 'produced' } // by the last `count`
  | { kind: 'bump'; frame: Uint8Array } // adds one to its first byte
  | { kind: 'set_available'; pool: number; available: boolean }
  | { kind: 'say'; subject: string; value: unknown }
  | { kind: 'heard' } // on the subject `news`
  | { kind: 'ask'; to: string; value: unknown }
  | { kind: 'ask_and_cancel'; to: string };

export const message = (body: { kind: string; [field: string]: unknown }): Message => ({
  kind: body.kind,
  tenant: 'tenant-a',
  trace: '',
  body,
});

/** Serves `peer/0`, which answers {@link PeerAsk}, and `pool/0` and `pool/1`, which answer with their number. */
export function servePeer(transport: Transport, clock: { monotonicMs(): number }): void {
  const noted: number[] = [];
  const heard: unknown[] = [];
  let produced = 0;
  const left = Promise.withResolvers<string>();
  const pool = [0, 1].map((number) => transport.serve(`pool/${number}`, async () => number));
  transport.subscribe('news', ({ body }) => heard.push(body));

  async function* count(to: number, frameBytes: number, failAt?: number): AsyncGenerator<unknown> {
    try {
      for (produced = 0; produced < to; ) {
        if (produced === failAt) throw new Fault('limit_exceeded', `counted to ${failAt}`);
        produced++;
        yield { number: produced, frame: Buffer.alloc(frameBytes, produced) };
      }
    } finally {
      left.resolve('returned');
    }
  }

  const handler: Handler = (received, context) => {
    const ask = received.body as PeerAsk;
    if (ask.kind === 'count') return count(ask.to, ask.frameBytes, ask.failAt);
    return answer(ask, context);
  };

  const answer = async (ask: PeerAsk, context: Parameters<Handler>[1]): Promise<unknown> => {
    switch (ask.kind) {
      case 'echo':
        return ask.value;
      case 'describe':
        return { buffer: Buffer.isBuffer(ask.frame), length: ask.frame.length, crc: crc32(ask.frame) };
      case 'note':
        noted.push(ask.value);
        return undefined;
      case 'noted':
        return noted;
      case 'fail':
        throw new Fault(ask.code, ask.message, { retryAfterS: ask.retryAfterS });
      case 'crash':
        throw new TypeError('a bug');
      case 'give_map':
        return { found: { here: new Map() } };
      case 'give_moved':
        context.transferReply();
        return { frame: Buffer.allocUnsafeSlow(ask.size).fill(7) };
      case 'hang':
        return new Promise((_, reject) => {
          context.signal.addEventListener('abort', () => {
            left.resolve(context.signal.reason.code);
            reject(context.signal.reason);
          });
        });
      case 'left':
        return left.promise;
      case 'produced':
        return produced;
      case 'bump':
        ask.frame[0]++;
        return undefined;
      case 'set_available':
        return pool[ask.pool].setAvailable(ask.available);
      case 'say':
        return transport.publish(ask.subject, message({ kind: 'said', value: ask.value }));
      case 'heard':
        return heard;
      case 'ask':
        return transport.request(ask.to, message({ kind: 'asked', value: ask.value }), { deadlineMs: context.deadlineMs });
      case 'ask_and_cancel': {
        const caller = new AbortController();
        const asked = transport.request(ask.to, message({ kind: 'asked' }), {
          deadlineMs: clock.monotonicMs() + 60_000,
          signal: caller.signal,
        });
        caller.abort();
        return asked.catch((error) => error.code);
      }
      default:
        throw new Fault('unsupported', `kind ${ask.kind}`);
    }
  };
  transport.serve('peer/0', handler);
}
