import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Simulation } from './simulation.ts';

const SEEDS = Number(process.env.SEEDS ?? 15);
const FIRST = Number(process.env.SEED ?? 1);

for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
  test(`whatever fails, what was acknowledged is found exactly once, seed ${seed}`, async () => {
    const simulation = new Simulation(seed);
    await simulation.run();
    const replay = `SEED=${seed} SEEDS=1 node --test tests/sim/random.test.ts`;
    assert.deepEqual(simulation.problems, [], `replay: ${replay}\n${simulation.events.join('\n')}`);
  });
}
