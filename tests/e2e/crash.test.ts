import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverywhere, KILLS, SOAK, seed, unlimited } from '../support/check-sent.ts';
import { nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { Disturbance, SteadyLoad, seededRandom } from '../support/steady-load.ts';

let server: TestServer;
let load: SteadyLoad;
let random: () => number;

beforeEach(async () => {
  server = await TestServer.start({ flags: unlimited });
  random = seededRandom(seed);
  load = new SteadyLoad(server.url, { clients: 4, seed, endNs: nowNs() });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
});

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
  await checkEverywhere(server, load);
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
  await checkEverywhere(server, load);
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
  await checkEverywhere(server, load);
});
