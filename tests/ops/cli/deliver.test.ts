import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deliver, type Reply, retryAfterMs } from '../../../ops/cli/deliver.ts';

const reply = (status: number, retryAfter: string | null = null): Reply => ({ status, retryAfter, text: `text of ${status}` });
const cut = (): Error => new TypeError('fetch failed', { cause: new Error('connection reset') });

/** Runs a delivery against scripted outcomes on a clock of its own; the jitter is none. */
async function run(outcomes: (Reply | Error)[], giveUpAfterMs = 60_000) {
  const waits: [ms: number, why: string][] = [];
  let now = 0;
  const attempt = async (): Promise<Reply> => {
    const outcome = outcomes.shift();
    if (outcome === undefined) throw new Error('one attempt too many');
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const delivery = deliver(attempt, {
    giveUpAfterMs,
    now: () => now,
    random: () => 1,
    sleep: async (ms) => {
      now += ms;
    },
    waiting: (ms, why) => waits.push([ms, why]),
  });
  const settled: { status?: number; attempts?: number; error?: string } = await delivery.then(
    ({ reply: { status }, attempts }) => ({ status, attempts }),
    (error: Error) => ({ error: error.message }),
  );
  return { ...settled, waits };
}

test('an accepted request is sent once', async () => {
  assert.deepEqual(await run([reply(204)]), { status: 204, attempts: 1, waits: [] });
});

test('a refusal for good is not repeated', async () => {
  assert.deepEqual(await run([reply(400)]), { status: 400, attempts: 1, waits: [] });
});

test('429 and 503 wait as long as Retry-After says, and then some jitter', async () => {
  const { status, attempts, waits } = await run([reply(429, '3'), reply(503, '1'), reply(204)]);
  assert.deepEqual([status, attempts], [204, 3]);
  assert.deepEqual(waits, [
    [3_250, '429 text of 429'],
    [1_250, '503 text of 503'],
  ]);
});

test('without Retry-After, and without a network, waits double', async () => {
  const { waits } = await run([reply(503), cut(), reply(500), reply(204)]);
  assert.deepEqual(
    waits.map(([ms]) => ms),
    [250, 500, 1_000],
  );
  assert.equal(waits[1][1], 'connection reset');
});

test('patience ends with the last reason', async () => {
  const { error, waits } = await run([reply(429, '5'), reply(429, '5'), reply(204)], 8_000);
  assert.equal(error, 'gave up after 2 attempts: 429 text of 429');
  assert.equal(waits.length, 1);
});

test('a fault of our own is not taken for network trouble', async () => {
  assert.deepEqual(await run([new RangeError('bug')]), { error: 'bug', waits: [] });
});

const headers: [header: string | null, ms: number | undefined][] = [
  [null, undefined],
  ['2', 2_000],
  [' 0 ', 0],
  ['1.5', 1_500],
  ['Thu, 01 Jan 1970 00:00:30 GMT', 20_000],
  ['Thu, 01 Jan 1970 00:00:05 GMT', 0],
  ['soon', undefined],
];
for (const [header, ms] of headers) test(`Retry-After: ${header}`, () => assert.equal(retryAfterMs(header, 10_000), ms));
