// The simulated cluster by hand: npm run sim -- --seed N replays one seed and tells what happened, with --kafka one of a cluster behind Kafka; --minutes M goes through seeds for as long, from --seed on.
import { parseArgs } from 'node:util';
import { ClusterSimulation } from './cluster-simulation.ts';

const { values: options } = parseArgs({
  options: { seed: { type: 'string' }, minutes: { type: 'string', default: '0' }, kafka: { type: 'boolean', default: false } },
});
const first = Number(options.seed ?? 1 + Math.floor(Math.random() * 2 ** 31));
const until = performance.now() + Number(options.minutes) * 60_000;

let failed = 0;
let seed = first;
do {
  const simulation = new ClusterSimulation(seed, {}, options.kafka);
  await simulation.run();
  const isFailed = simulation.problems.length > 0;
  if (isFailed) failed++;
  if (isFailed || Number(options.minutes) === 0) console.log(simulation.events.join('\n'));
  if (isFailed) console.log(`seed ${seed} failed: npm run sim -- --seed ${seed}`);
  else if (Number(options.minutes) === 0) console.log(`seed ${seed}: no problem, trace ${simulation.traceHash}`);
  seed++;
} while (performance.now() < until);
console.log(`${seed - first} seeds from ${first}, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
