import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AskOptions, Messenger } from '../../../actors/kernel/define.ts';
import type { TailedEntries, TailerAsk } from '../../../actors/protocol/tail.ts';
import { TailSession } from '../../../actors/tail/tail-session.ts';
import { tailersThere } from '../../../actors/tail/tailers.ts';
import { encodeLogFrame } from '../../../logql/engine/log-frame.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { isFault, numbers } from '../../support/checks.ts';

const options: AskOptions = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY };
const scheduler = (queriers: string[]): Messenger => ({ ask: async () => ({ queriers }) }) as unknown as Messenger;

test('the tailers of this process, if it has any; otherwise two of those that are there, by chance', async () => {
  const world = fakeWorld(1);
  assert.deepEqual(await tailersThere(['0', '1', '2'], scheduler(['x']), world)(options), ['0', '1', '2']);
  assert.deepEqual(await tailersThere([], scheduler(['x']), world)(options), ['x']);
  const there = tailersThere([], scheduler(['x', 'y', 'z']), world);
  const chosen = await Promise.all(numbers(50).map(() => there(options)));
  assert.deepEqual([...new Set(chosen.map(String))].sort(), ['x,y', 'y,z', 'z,x']);
  await assert.rejects(tailersThere([], scheduler([]), world)(options), isFault('unavailable'));
});

test('in place of a tailer that is gone another one goes on with its shard, from its place', async () => {
  const world = fakeWorld(1);
  const asked: [tailer: string, ask: TailerAsk][] = [];
  const next = [{ ingester: 'i', log: 'log', position: 7 }];
  let lose = (): void => {};
  async function* tail(tailer: string, ask: TailerAsk, signal: AbortSignal): AsyncGenerator<TailedEntries> {
    asked.push([tailer, ask]);
    yield { phase: 'open', next, frame: [], missed: [] };
    if (ask.resume === undefined) yield { phase: 'history', next, frame: encodeLogFrame([]), missed: [] };
    if (tailer === 'y') await new Promise<void>((resolve) => (lose = resolve));
    else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    throw new Fault('unavailable', 'it is gone');
  }
  let there = ['x', 'y'];
  const messenger = {
    stream: (_: unknown, tailer: string, ask: TailerAsk, { signal }: { signal: AbortSignal }) => tail(tailer, ask, signal),
  } as unknown as Messenger;
  const over = new AbortController();
  const context = { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY, signal: over.signal, trace: '', transferReply: () => {} };
  const session = new TailSession(
    { kind: 'tail', query: '{app="a"}', startNs: 0n, limit: 10, delayMs: 0, categorize: false, legacy: false },
    context,
    {
      messenger,
      world,
      tailers: async () => there,
      aheadMs: 0,
      maxDurationMs: 3_600_000,
      droppedEntries: noInstruments.counter('', ''),
    },
  );
  const messages = session.messages();
  assert.equal((await messages.next()).value?.body.length, 0);
  assert.deepEqual(
    asked.map(([tailer, { shard }]) => [tailer, shard]),
    [
      ['x', { index: 0, of: 2 }],
      ['y', { index: 1, of: 2 }],
    ],
  );
  there = ['x', 'z'];
  lose();
  const ended = messages.next();
  ended.catch(() => {});
  await world.advance(1_000);
  const [tailer, { shard, resume }] = asked.at(-1)!;
  assert.deepEqual([tailer, shard, resume], ['z', { index: 1, of: 2 }, next]);
  over.abort(new Fault('cancelled', 'over'));
  await assert.rejects(ended, isFault('cancelled'));
});
