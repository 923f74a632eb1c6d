import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { get, mustPush, nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';

const LINES = 4_000;
/** Costs milliseconds for each line of as and bs: every byte leads to a new set of ways to match. */
const STORM = 'sum(count_over_time({app="storm"} |~ "[ab]*a[ab]{200}c" [1h]))';

let server: TestServer;

before(async () => {
  server = await TestServer.start({ flags: ['-querier.query-timeout=5s', '-ingester.per-stream-rate-limit=1GB'] });
  const startNs = nowNs();
  let state = 1;
  const letter = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 16) % 2 === 0 ? 'a' : 'b';
  };
  const line = () => Array.from({ length: 400 }, letter).join('');
  const streams = Array.from({ length: 4 }, (_, number) => ({
    stream: { app: 'storm', number: String(number) },
    values: Array.from({ length: LINES / 4 }, (_, at): [string, string] => [String(startNs + BigInt(at)), line()]),
  }));
  for (const stream of streams) await mustPush(server.url, [stream]);
  await mustPush(server.url, [{ stream: { app: 'calm' }, values: [[String(startNs), 'hello']] }]);
});
after(() => server[Symbol.asyncDispose]());

const ask = (query: string) => get(server.url, '/loki/api/v1/query', { query, time: String(nowNs() + 1_000_000_000n) });
const small = () => ask('sum(count_over_time({app="calm"} |~ "h.llo" [1h]))');

test('patterns that take long do not keep others waiting, and end at the deadline', async () => {
  let open = 2;
  const storms = Array.from({ length: open }, () => ask(STORM).finally(() => open--));
  let served = 0;
  while (open > 0) {
    const { status, text } = await small();
    assert.equal(status, 200, text);
    assert.match(text, /"1"\]/);
    if (open === 2) served++;
  }
  assert.ok(served > 0, 'no query was answered before the first storm was over');
  for (const { status, text } of await Promise.all(storms)) assert.equal(status, 504, text);
  assert.equal((await small()).status, 200);
});

test('a pattern that expands too far is refused at once, with the number', async () => {
  const { status, text } = await ask(STORM.replace('{200}', '{1000}c{1000}a{500}'));
  assert.equal(status, 400);
  assert.match(text, /regular expression too large: its repetitions expand to more than 2000 nodes/);
});
