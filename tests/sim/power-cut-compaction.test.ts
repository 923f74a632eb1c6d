import assert from 'node:assert/strict';
import test from 'node:test';
import { FAKE_START_MS } from '../../ops/base/world-fake.ts';
import { CRASH_MODES, withoutSync } from '../support/power-cut-files.ts';
import { failures, pushes, type Scenario, undisturbed } from './power-cut.ts';

const SOAK = process.env.SOAK === '1';
/** Longer than what was compacted is kept. */
const GRACE_MS = 1_000_000;
const NEVER_MS = 365 * 86_400_000;
/** Days after those of the entries, so that two small segments are worth merging. */
const LATER_MS = FAKE_START_MS + 10 * 86_400_000;

/** Flushes are compacted, by two at once, then what came of them; between that, and after, what was merged is deleted. */
const scenario: Scenario = {
  startMs: LATER_MS,
  options: {
    shards: 2,
    ingester: { flushCheckPeriod: NEVER_MS },
    compactors: { count: 2, levelZeroAge: 0, compactionInterval: NEVER_MS },
  },
  async work({ world, store, push }) {
    const [first, second, third, fourth, fifth, sixth] = pushes();
    await push(first);
    await store.flush();
    await push(second);
    await store.flush();
    await Promise.all([store.compact('0'), push(third)]);
    await store.flush();
    await Promise.all([store.compact('0'), store.compact('1'), push(first)]);
    await world.advance(GRACE_MS);
    await Promise.all([store.compact('0'), push(fourth), store.flush()]);
    await push(fifth);
    await store.flush();
    await Promise.all([store.compact('0'), store.compact('1'), push(sixth)]);
    await world.advance(GRACE_MS);
    await store.compact('1');
  },
  async after({ world, store }) {
    await store.compact('1');
    await store.flush();
    await Promise.all([store.compact('0'), store.compact('1')]);
    await world.advance(GRACE_MS);
    await store.compact('0');
  },
};

async function stepsOf(): Promise<number[]> {
  const { steps, acknowledged, wrong } = await undisturbed(scenario);
  assert.deepEqual([acknowledged, wrong], [24, []]);
  return Array.from({ length: steps }, (_, step) => step);
}

test('the power may go at any step of compaction and deletion: what was acknowledged is found exactly once', async (context) => {
  const steps = await stepsOf();
  context.diagnostic(`${steps.length} steps`);
  const modesOf = (step: number) => (SOAK ? CRASH_MODES : step % 3 === 0 ? [CRASH_MODES[step % CRASH_MODES.length]] : []);
  assert.deepEqual(await failures(scenario, steps, modesOf), []);
});

for (const what of ['data', 'names'] as const) {
  test(`without the sync of ${what} that check fails`, async () => {
    const late = (await stepsOf()).toReversed();
    const failed = await failures(
      scenario,
      late,
      () => ['nothing'],
      (files) => withoutSync(files, what),
    );
    assert.ok(failed.length > 0);
  });
}
