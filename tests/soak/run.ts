import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// The crash suites, the simulations and the comparisons with other implementations, with their full counts. `SEED=n npm run soak` repeats the loads of an earlier run; failures name their seed.
const root = fileURLToPath(new URL('../../', import.meta.url));
const files = globSync(
  [
    'tests/e2e/crash*.test.ts',
    'tests/e2e/compaction.test.ts',
    'tests/e2e/{cluster,cluster-nats,roles,handoff,kafka-faults,kafka-buffer,kafka-gaps,kafka-leaders,kafka-tail}.test.ts',
    'tests/sim/*.test.ts',
    'tests/storage/segment/live-set.test.ts',
    'tests/logql/pipeline/regex-equivalence.test.ts',
    'tests/logql/syntax/{lezer,round-trip}.test.ts',
  ],
  {
    cwd: root,
  },
);
const suites = spawn(process.execPath, ['--test', '--test-concurrency=1', '--test-reporter=spec', ...files], {
  cwd: root,
  env: { SEEDS: '100', ...process.env, SOAK: '1' },
  stdio: 'inherit',
});
suites.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
