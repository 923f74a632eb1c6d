import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverywhere, checkSent, KILLS, SOAK, seed, unlimited } from '../support/check-sent.ts';
import { nowNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';
import { Disturbance, SteadyLoad, seededRandom } from '../support/steady-load.ts';

/** Compaction goes on all the time, and what was merged is deleted a few seconds later. */
const flags = [
  ...unlimited,
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
  await checkEverywhere(server, load);
  const { segments, objects } = await settled(join(server.dataDir, 'objects'), disturbance.flushes);
  await checkSent(server, load, 'after everything was compacted');
  const { pushes, repeats } = load;
  context.diagnostic(`${pushes} pushes, ${repeats} repeated; ${disturbance.flushes} flushes; ${segments} segments of ${objects} objects`);
});
