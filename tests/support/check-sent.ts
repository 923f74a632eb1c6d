import assert from 'node:assert/strict';
import { allEntries, countEntries } from './client.ts';
import type { TestServer } from './server.ts';
import type { SteadyLoad } from './steady-load.ts';

export const SOAK = process.env.SOAK === '1';
export const KILLS = SOAK ? 30 : 3;
export const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Of the server: the load is about losing entries, not about rates. */
export const unlimited = [
  '-distributor.ingestion-rate-limit-mb=1000',
  '-distributor.ingestion-burst-size-mb=2000',
  '-ingester.per-stream-rate-limit=1GB',
  '-ingester.per-stream-rate-limit-burst=2GB',
];

/** Every acknowledged entry is there once, nothing else is, and the counts say the same. */
export async function checkEverySent(url: string, load: SteadyLoad, when: string): Promise<void> {
  for (const [stream, sent] of load.acknowledged) {
    const selector = `{stream="${stream}"}`;
    const found = new Map<string, number>();
    for (const { timeNs, line } of await allEntries(url, selector, load.range)) {
      const key = `${timeNs} ${line}`;
      found.set(key, (found.get(key) ?? 0) + 1);
    }
    const lost = sent.filter(({ timeNs, line }) => !found.has(`${timeNs} ${line}`));
    const twice = [...found].filter(([, count]) => count > 1);
    assert.deepEqual(
      [lost.length, twice.length, found.size],
      [0, 0, sent.length],
      `${when}, ${stream}: lost ${lost[0]?.line}, twice ${twice[0]?.[0]}`,
    );
    assert.equal(await countEntries(url, selector, load.range), sent.length, `${when}, ${stream}: the count`);
  }
}

/** Checks the load's entries as they are, after a flush, and after a clean stop and start. */
export async function checkEverywhere(server: TestServer, load: SteadyLoad): Promise<void> {
  const check = (when: string): Promise<void> => checkSent(server, load, when);
  await check('after the last start');
  const flushed = await fetch(`${server.url}/flush`, { method: 'POST' });
  assert.ok(flushed.ok, `flush answered ${flushed.status}`);
  await check('after a flush');
  await server.stop();
  await server.restart();
  await check('after a clean stop and start');
}

export function checkSent(server: TestServer, load: SteadyLoad, when: string): Promise<void> {
  return checkEverySent(server.url, load, `${when}; seed ${seed}`);
}
