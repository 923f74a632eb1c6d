import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { numbers } from '../support/checks.ts';
import { OpenTail } from '../support/open-tail.ts';
import { PowerCutFiles } from '../support/power-cut-files.ts';
import { type Entry, SingleStore } from '../support/single-store.ts';

const SEEDS = Number(process.env.SEEDS ?? 15);
const FIRST = Number(process.env.SEED ?? 1);
const MS = 1_000_000n;
const NOW = BigInt(FAKE_START_MS) * MS;

/** Pushes, flushes, failing actors and tails that begin at any moment: what a tail shows is each entry that was acknowledged, once. */
for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`a tail shows what was acknowledged, each entry once, seed ${seed}`, async (context) => {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random.next() * limit);
    const world = fakeWorld(seed, new PowerCutFiles());
    const store = await SingleStore.boot(world, { shards: 2, ingester: { walSegmentSize: 2_000, flushBytes: 20_000 } });
    while (!(await store.ready())) await world.settle();
    const acknowledged = new Set<string>();
    const pending = new Set<Promise<void>>();
    const tails: OpenTail[] = [];
    let made = 0;
    const send = async (): Promise<void> => {
      const entries = numbers(1 + below(4)).map(
        (): Entry => ({ labels: { app: `app-${below(5)}` }, timeNs: NOW - BigInt(below(1_000)) * MS, line: `entry ${made++}` }),
      );
      for (;;) {
        const outcome = await store.push(entries).catch(() => undefined);
        if (outcome !== undefined && outcome.fault === undefined) break;
        await world.timers.sleep(100); // and sends it again, as clients do
      }
      for (const { line } of entries) acknowledged.add(line);
    };
    for (let step = 0; step < 150; step++) {
      const dice = random.next();
      if (dice < 0.7) {
        const sending: Promise<void> = send().finally(() => pending.delete(sending));
        pending.add(sending);
      } else if (dice < 0.78) store.flush().catch(() => {});
      else if (dice < 0.82 && tails.length < 5) tails.push(new OpenTail(store, '{app=~".+"}', { limit: 100_000 }));
      else if (dice < 0.85 && step % 50 < 25) store.fail(`${below(2) === 0 ? 'ingester' : 'tailer'}/${below(2)}`);
      else if (dice < 0.95) await world.advance(below(300));
      for (let turns = below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    }
    await world.runUntil(() => pending.size === 0, { withinMs: 600_000 });
    await world.advance(70_000);
    const kept = tails.filter(({ fault }) => fault === undefined);
    context.diagnostic(`${kept.length} of ${tails.length} tails went on`);
    for (const { lines } of tails) assert.equal(new Set(lines).size, lines.length);
    for (const { lines } of kept) assert.deepEqual(lines.toSorted(), [...acknowledged].sort());
    for (const { fault } of tails)
      assert.ok(fault === undefined || ['unavailable', 'not_found', 'stale_incarnation'].includes(fault.code), String(fault));
  });
}
