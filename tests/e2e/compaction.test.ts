import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverySent } from '../support/check-sent.ts';
import { nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { Disturbance, SteadyLoad, seededRandom } from '../support/steady-load.ts';

const SOAK = process.env.SOAK === '1';
const KILLS = SOAK ? 30 : 3;
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Compaction goes on all the time, and what was merged is deleted a few seconds later. */
const flags = [
  '-distributor.ingestion-rate-limit-mb=1000',
  '-distributor.ingestion-burst-size-mb=2000',
  '-ingester.per-stream-rate-limit=1GB',
  '-ingester.per-stream-rate-limit-burst=2GB',
  '-compactor.compaction-interval=200ms',
  '-compactor.level-zero-age=500ms',
  '-compactor.segment-size=200KB',
  '-compactor.deletion-delay=8s',
  '-querier.max-listing-age=500ms',
  '-querier.query-timeout=1500ms',
];

/** Resolves once there are segments, and fewer objects in all than there were flushes. */
async function settled(folder: string, flushes: number): Promise<{ segments: number; objects: number }> {
  for (;;) {
    const entries = await readdir(folder, { recursive: true });
    const segments = entries.filter((name) => name.endsWith('.seg')).length;
    const objects = segments + entries.filter((name) => /\d{16}$/.test(name)).length;
    if (segments > 0 && objects < flushes) return { segments, objects };
    await sleep(100);
  }
}

test(`${KILLS} times SIGKILL amid compaction and deletion under load: every acknowledged entry is found exactly once`, {
  timeout: SOAK ? 1_800_000 : 240_000,
}, async (context) => {
  await using server = await TestServer.start({ flags });
  const random = seededRandom(seed);
  const load = new SteadyLoad(server.url, { clients: 2, seed, endNs: nowNs() });
  const disturbance = new Disturbance(server.url, load.range, { queries: 2 });
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(1_000 + random() * 3_000);
    await server.process.kill();
    await server.restart();
  }
  await sleep(2_000);
  await load.stop();
  await disturbance.stop();
  const check = (when: string): Promise<void> => checkEverySent(server.url, load, `${when}; seed ${seed}`);
  await check('after the last start');
  const flushed = await fetch(`${server.url}/flush`, { method: 'POST' });
  assert.ok(flushed.ok, `flush answered ${flushed.status}`);
  await check('after a flush');
  await server.stop();
  await server.restart();
  await check('after a clean stop and start');
  const { segments, objects } = await settled(join(server.dataDir, 'objects'), disturbance.flushes);
  await check('after everything was compacted');
  const { pushes, repeats } = load;
  context.diagnostic(`${pushes} pushes, ${repeats} repeated; ${disturbance.flushes} flushes; ${segments} segments of ${objects} objects`);
});
