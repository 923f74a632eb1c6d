import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOAK } from '../support/check-sent.ts';
import { ClusterSimulation } from './cluster-simulation.ts';

const SEEDS = SOAK ? 300 : Number(process.env.SEEDS ?? 3);
const FIRST = Number(process.env.SEED ?? 1);

test(`a cluster behind Kafka, whatever fails: what was acknowledged is found exactly once, and no answer lacks what it says it has, ${SEEDS} seeds`, async (context) => {
  let events = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const simulation = new ClusterSimulation(seed, {}, true);
    await simulation.run();
    events += simulation.events.length;
    assert.deepEqual(simulation.problems, [], `replay: npm run sim -- --kafka --seed ${seed}\n${simulation.events.join('\n')}`);
  }
  context.diagnostic(`${events} events`);
});
