import assert from 'node:assert/strict';
import { allEntries, countEntries } from './client.ts';
import type { SteadyLoad } from './steady-load.ts';

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
