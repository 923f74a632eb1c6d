import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SOAK } from '../support/check-sent.ts';
import { ClusterSimulation } from './cluster-simulation.ts';

const SEEDS = SOAK ? 500 : Number(process.env.SEEDS ?? 25);
const FIRST = Number(process.env.SEED ?? 1);

test(`a cluster, whatever fails: what was acknowledged is found exactly once, and no answer is short, ${SEEDS} seeds`, async (context) => {
  let events = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const simulation = new ClusterSimulation(seed);
    await simulation.run();
    events += simulation.events.length;
    assert.deepEqual(simulation.problems, [], `replay: npm run sim -- --seed ${seed}\n${simulation.events.join('\n')}`);
  }
  context.diagnostic(`${events} events`);
});

test('a seed that is run twice gives the same trace', async () => {
  const hashes = [];
  for (let turn = 0; turn < 2; turn++) {
    const simulation = new ClusterSimulation(4);
    await simulation.run();
    hashes.push(simulation.traceHash);
  }
  assert.equal(hashes[0], hashes[1]);
});
