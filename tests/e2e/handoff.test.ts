import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkEverySent, seed } from '../support/check-sent.ts';
import { metric, nowNs } from '../support/client.ts';
import { TestCluster } from '../support/cluster.ts';
import { withoutNats } from '../support/nats.ts';
import { SteadyLoad } from '../support/steady-load.ts';

const TIMEOUT_MS = 120_000;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };
const POLL_MS = 20;

interface Seen {
  readonly id: string;
  readonly state: string;
  readonly tokens: number;
}

async function ringOf(url: string): Promise<Seen[]> {
  const answer = await fetch(`${url}/ring`, { headers: { accept: 'application/json' } });
  return ((await answer.json()) as { instances: Seen[] }).instances;
}

/** The ring, once `url` sees it so. The test's time limit ends the wait. */
async function ringOnce(url: string, isSo: (instances: Seen[]) => boolean): Promise<Seen[]> {
  for (;;) {
    const instances = await ringOf(url);
    if (isSo(instances)) return instances;
    await sleep(POLL_MS);
  }
}

test('handoff: a process is drained under load: others have what it had, nothing is flushed, and every acknowledged entry is found once', {
  skip: withoutNats,
  timeout: TIMEOUT_MS,
}, async (context) => {
  await using cluster = await TestCluster.start({ processes: 4 });
  const [first, , , last] = cluster.servers;
  await using load = new SteadyLoad(cluster.urls, { clients: 3, seed, endNs: nowNs() });
  // It may be that no stream is placed with it at first, until all have heard of it.
  while (load.pushes < 30 || (await metric(last.url, 'loki_ingester_appends_total')) === 0) await sleep(POLL_MS);

  const elsewhere = await fetch(`${first.url}/ring`, { method: 'POST', body: 'drain=process-3', headers: FORM, redirect: 'manual' });
  assert.equal(elsewhere.status, 307);
  assert.equal(new URL(elsewhere.headers.get('location')!).port, new URL(last.url).port);
  const order = await fetch(`${last.url}/ring`, { method: 'POST', body: 'drain=process-3', headers: FORM, redirect: 'manual' });
  assert.equal(order.status, 302);
  const left = await ringOnce(first.url, (instances) => instances.length === 3);
  const handed = await metric(last.url, 'millrace_ring_handed_over_entries_total');
  assert.ok(handed > 0, last.process.output);
  assert.equal(await metric(last.url, 'millrace_ring_handoffs_total'), 1);
  assert.deepEqual(left.map(({ tokens }) => tokens).toSorted(), [128, 128, 256]);
  assert.equal(await metric(last.url, 'loki_ingester_chunks_flushed_total'), 0);
  assert.match(last.process.output, /sealed: pushes are sent on[\s\S]*handed over[\s\S]*tokens are moved/);

  // It still takes requests for the others.
  const pushes = load.pushes;
  while (load.pushes < pushes + 30) await sleep(POLL_MS);
  await load.stop();
  for (const url of cluster.urls) await checkEverySent(url, load, `after the handoff; seed ${seed}`);
  // Each entry has two copies again: one process less changes nothing.
  await last.stop();
  await first.process.kill();
  for (const url of cluster.urls.slice(1, 3)) await checkEverySent(url, load, `with one process less; seed ${seed}`);
  await first.restart();

  await last.restart();
  await ringOnce(first.url, (instances) => instances.length === 4 && instances.every(({ state }) => state === 'ACTIVE'));
  for (const url of cluster.urls) await checkEverySent(url, load, `with the process back; seed ${seed}`);
  context.diagnostic(`${handed} entries handed over; ${load.pushes} pushes, ${load.repeats} of them repeated`);
});
