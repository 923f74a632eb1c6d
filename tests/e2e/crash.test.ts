import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverySent } from '../support/check-sent.ts';
import { nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { Disturbance, SteadyLoad, seededRandom } from '../support/steady-load.ts';

const SOAK = process.env.SOAK === '1';
const KILLS = SOAK ? 30 : 3;
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** The load is about losing entries, not about rates. */
const flags = [
  '-distributor.ingestion-rate-limit-mb=1000',
  '-distributor.ingestion-burst-size-mb=2000',
  '-ingester.per-stream-rate-limit=1GB',
  '-ingester.per-stream-rate-limit-burst=2GB',
];

let server: TestServer;
let load: SteadyLoad;
let random: () => number;

beforeEach(async () => {
  server = await TestServer.start({ flags });
  random = seededRandom(seed);
  load = new SteadyLoad(server.url, { clients: 4, seed, endNs: nowNs() });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

const checkAll = (when: string): Promise<void> => checkEverySent(server.url, load, `${when}; seed ${seed}`);

async function checkEverywhere(): Promise<void> {
  await checkAll('after the last start');
  const flushed = await fetch(`${server.url}/flush`, { method: 'POST' });
  assert.ok(flushed.ok, `flush answered ${flushed.status}`);
  await checkAll('after a flush');
  await server.stop();
  await server.restart();
  await checkAll('after a clean stop and start');
}

test(`${KILLS} times SIGKILL amid pushes, flushes and queries: every acknowledged entry is found exactly once`, {
  timeout: SOAK ? 1_800_000 : 240_000,
}, async (context) => {
  const disturbance = new Disturbance(server.url, load.range, { queries: 2 });
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(random() * 2_500);
    await server.process.kill();
    await server.restart();
  }
  await sleep(500);
  await load.stop();
  await disturbance.stop();
  await checkEverywhere();
  const entries = [...load.acknowledged.values()].reduce((sum, list) => sum + list.length, 0);
  context.diagnostic(
    `${entries} entries in ${load.pushes} pushes, ${load.repeats} of them repeated; ${disturbance.flushes} flushes, ${disturbance.answers} queries answered`,
  );
  assert.ok(load.repeats > 0, 'no push was ever in doubt: the kills hit nothing');
});

test('SIGSTOP for 8 s: pushes in doubt are repeated, every acknowledged entry is found exactly once', { timeout: 240_000 }, async () => {
  await sleep(500);
  server.process.signal('SIGSTOP');
  await sleep(8_000);
  server.process.signal('SIGCONT');
  await sleep(500);
  await load.stop();
  assert.ok(load.repeats > 0, 'no push was ever in doubt');
  await checkEverywhere();
});

test('SIGTERM under query traffic: exits 0 within 10 s, every acknowledged entry is found exactly once', {
  timeout: 240_000,
}, async (context) => {
  await sleep(500);
  const disturbance = new Disturbance(server.url, load.range, { queries: 8 });
  await sleep(1_000);
  const { code, signal, tookMs } = await server.stop();
  context.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.process.output);
  assert.ok(tookMs <= 10_000, `took ${Math.round(tookMs)} ms`);
  await server.restart();
  await sleep(200);
  await load.stop();
  await disturbance.stop();
  assert.ok(disturbance.answers > 0, 'no query was answered');
  await checkEverywhere();
});
