import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import WebSocket from 'ws';
import { numbers } from '../support/checks.ts';
import { get, mustPush, nowNs, type PushStream } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { TailClient } from '../support/tail-client.ts';

const one = (app: string, line: string, timeNs = nowNs()): PushStream => ({ stream: { app }, values: [[String(timeNs), line]] });

test('several tails over all shards: what was there, then everything that is acknowledged, each once, in order', async () => {
  await using server = await TestServer.start();
  const apps = numbers(6).map((number) => `app-${number}`);
  for (const app of apps) await mustPush(server.url, [one(app, `history ${app}`)]);
  const [all, odd, json] = await Promise.all([
    TailClient.open(server.url, '{app=~"app-.+"}', { delay_for: '1' }),
    TailClient.open(server.url, '{app=~"app-[135]"} |= "7"', { limit: '1' }),
    TailClient.open(server.url, '{app="app-2"} |= "live" | pattern "live <n> <_>" | n > 40 | line_format "{{.n}}"'),
  ]);
  const pushes = numbers(50).map(async (number) => {
    const sent = apps.map((app) => one(app, `live ${number} ${app}`, nowNs() - BigInt(number % 7) * 10_000_000n));
    await mustPush(server.url, sent);
  });
  await Promise.all(pushes);
  await all.until(() => all.values.length >= 51 * apps.length);
  await json.until(() => json.values.length >= 9);
  await odd.until(() => odd.values.length >= 15);
  assert.deepEqual(
    all.lines.toSorted(),
    apps.flatMap((app) => [`history ${app}`, ...numbers(50).map((number) => `live ${number} ${app}`)]).sort(),
  );
  const times = all.values.map(([time]) => BigInt(time));
  assert.deepEqual(
    times,
    times.toSorted((a, b) => Number(a - b)),
  );
  assert.deepEqual(
    json.lines.toSorted(),
    numbers(9).map((number) => `${41 + number}`),
  );
  assert.deepEqual(
    odd.lines.toSorted(),
    [7, 17, 27, 37, 47].flatMap((number) => [1, 3, 5].map((app) => `live ${number} app-${app}`)).sort(),
  );
  for (const tail of [all, odd, json]) tail.socket.close(1000);
  assert.deepEqual((await all.closed)[0], 1000);
});

test('a client that stops reading is told what it missed, others go on, and memory stays', async () => {
  await using server = await TestServer.start({
    flags: [
      '-server.workers=2',
      '-distributor.ingestion-rate-limit-mb=1000',
      '-distributor.ingestion-burst-size-mb=1000',
      '-ingester.per-stream-rate-limit=1GB',
      '-ingester.per-stream-rate-limit-burst=1GB',
    ],
  });
  const [slow, quick] = [await TailClient.open(server.url, '{app="a"}'), await TailClient.open(server.url, '{app="a"}')];
  slow.socket.pause();
  const line = 'x'.repeat(10_000);
  const total = 4_000;
  for (let from = 0; from < total; from += 20) {
    const base = nowNs();
    const values = numbers(20).map((number): [string, string] => [String(base + BigInt(number)), `${from + number} ${line}`]);
    await mustPush(server.url, [{ stream: { app: 'a' }, values }]);
    await quick.until(() => quick.values.length + quick.dropped.length >= from + 20);
  }
  assert.deepEqual([quick.values.length, quick.dropped.length], [total, 0]);
  assert.equal(slow.values.length, 0);
  slow.socket.resume();
  await slow.until(() => slow.values.length + slow.dropped.length >= total);
  assert.equal(slow.values.length + slow.dropped.length, total);
  assert.ok(slow.dropped.length > 1_000, `${slow.dropped.length} were dropped`);
  const known = new Set(quick.values.map(([time]) => time));
  for (const { timestamp, labels } of slow.dropped) assert.ok(known.has(timestamp) && labels.app === 'a');
  assert.ok(server.process.peakMemory() < 560e6, `${Math.round(server.process.peakMemory() / 1e6)} MB`);
});

test('limits have their texts, and a tail that ends makes room', async () => {
  await using server = await TestServer.start({ flags: ['-querier.max-concurrent-tail-requests=1', '-querier.tail-max-duration=5s'] });
  const first = await TailClient.open(server.url, '{app="a"}');
  const second = await TailClient.open(server.url, '{app="a"}');
  assert.deepEqual(await second.closed, [1011, 'max concurrent tail requests limit exceeded, count > limit (2 > 1)']);
  assert.deepEqual(await first.closed, [1011, 'reached tail max duration limit']);
  const third = await TailClient.open(server.url, '{app="a"}');
  await mustPush(server.url, [one('a', 'line')]);
  await third.until(() => third.lines[0] === 'line');
});

test('SIGTERM with tails open closes them with a code and exits with 0 within ten seconds', async () => {
  await using server = await TestServer.start();
  const tails = await Promise.all(numbers(8).map(() => TailClient.open(server.url, '{app="a"}')));
  tails[0].socket.pause(); // it will not answer
  await mustPush(server.url, [one('a', 'x'.repeat(100_000))]);
  const { code, signal } = await server.stop(10_000);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.process.output);
  for (const { closed } of tails.slice(1)) assert.deepEqual(await closed, [1001, 'shutting down']);
});

test('the paths of Loki before version 1', async () => {
  await using server = await TestServer.start();
  const timeNs = nowNs();
  await mustPush(server.url, [
    {
      stream: { app: 'a' },
      values: [
        [String(timeNs), 'one n=1', { trace: 't' }],
        [String(timeNs + 1n), 'two n=2'],
      ],
    },
  ]);
  const params = { query: '{app="a"} | logfmt n', regexp: 'on.', direction: 'forward' };
  const answer = JSON.parse((await get(server.url, '/api/prom/query', params)).text);
  const seconds = new Date(Number(timeNs / 1_000_000n)).toISOString().slice(0, -1);
  const ts = `${`${seconds}${String(timeNs % 1_000_000n).padStart(6, '0')}`.replace(/\.?0+$/, '')}Z`;
  const labels = '{app="a", detected_level="unknown", n="1", service_name="a", trace="t"}';
  assert.deepEqual(answer.streams, [{ labels, entries: [{ ts, line: 'one n=1', parsed: { n: '1' } }] }]);
  assert.equal(answer.stats.summary.totalEntriesReturned, 1);
  assert.deepEqual(JSON.parse((await get(server.url, '/api/prom/query', { query: '{app="b"}' })).text).streams, []);
  assert.deepEqual(JSON.parse((await get(server.url, '/api/prom/label')).text), { status: 'success', data: ['app', 'service_name'] });
  assert.deepEqual(JSON.parse((await get(server.url, '/api/prom/label/app/values')).text), { status: 'success', data: ['a'] });
  assert.deepEqual(JSON.parse((await get(server.url, '/api/prom/series', { match: '{app="a"}' })).text), {
    status: 'success',
    data: [{ app: 'a', service_name: 'a' }],
  });
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/prom/tail?${new URLSearchParams(params)}`);
  const [message] = await once(socket, 'message');
  assert.deepEqual(JSON.parse(String(message)), {
    streams: [{ labels, entries: [{ ts, line: 'one n=1', parsed: { n: '1' } }] }],
    dropped_entries: null,
  });
  socket.terminate();
});
