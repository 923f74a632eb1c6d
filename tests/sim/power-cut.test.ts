import assert from 'node:assert/strict';
import test from 'node:test';
import { CRASH_MODES, withoutSync } from '../support/power-cut-files.ts';
import { failures, pushes, type Scenario, undisturbed } from './power-cut.ts';

/** Pushes, flushes (which trims) and pushes again. */
const scenario: Scenario = {
  options: { shards: 2 },
  async work({ store, push }) {
    const [first, second, third, fourth, fifth, sixth] = pushes();
    await Promise.all([push(first), push(second)]);
    await push(third);
    await store.flush();
    // Sent again, as a client in doubt does: it must not count twice.
    await Promise.all([push(fourth), push(first)]);
    await Promise.all([store.flush(), push(fifth)]);
    await push(sixth);
    await store.flush();
  },
  after: ({ store }) => store.flush(),
};

async function stepsOf(): Promise<number[]> {
  const { steps, acknowledged, wrong } = await undisturbed(scenario);
  assert.deepEqual([acknowledged, wrong], [24, []]);
  return Array.from({ length: steps }, (_, step) => step);
}

test('the power may go at any step of append, flush and trim: what was acknowledged is found exactly once', async () => {
  assert.deepEqual(await failures(scenario, await stepsOf(), () => CRASH_MODES), []);
});

for (const what of ['data', 'names'] as const) {
  test(`without the sync of ${what} that check fails`, async () => {
    const failed = await failures(
      scenario,
      await stepsOf(),
      () => ['nothing'],
      (files) => withoutSync(files, what),
    );
    assert.ok(failed.length > 0);
  });
}
