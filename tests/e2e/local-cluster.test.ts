import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LocalClusterState } from '../../ops/cluster/local-cluster.ts';
import { get, nowNs, push } from '../support/client.ts';
import { withoutNats } from '../support/nats.ts';
import { freePort } from '../support/ports.ts';

const CLI = fileURLToPath(new URL('../../ops/cli.ts', import.meta.url));

test('millrace cluster: starts everything, starts again what dies, and ends everything', {
  skip: withoutNats,
  timeout: 120_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-local-'));
  const stateFile = join(folder, 'state.json');
  const basePort = (await freePort()) + 1;
  const args = [
    '--data',
    join(folder, 'data'),
    '--base-port',
    String(basePort),
    '--state-file',
    stateFile,
    '--no-table',
    '--',
    '-server.workers=1',
  ];
  const child = spawn(process.execPath, [CLI, 'cluster', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const read = (): LocalClusterState | undefined => {
    try {
      return JSON.parse(readFileSync(stateFile, 'utf8'));
    } catch {
      return undefined;
    }
  };
  const reached = async (condition: (state: LocalClusterState) => boolean): Promise<LocalClusterState> => {
    for (;;) {
      const state = read();
      if (state !== undefined && condition(state)) return state;
      assert.equal(child.exitCode, null, output);
      await sleep(50);
    }
  };
  const allActive = ({ processes }: LocalClusterState): boolean => processes.every(({ state }) => state === 'ACTIVE');
  try {
    const { gateway, processes } = await reached(allActive);
    assert.equal(processes.length, 3);
    assert.equal((await push(gateway, [{ stream: { app: 'a' }, values: [[String(nowNs()), 'line']] }])).status, 204);
    process.kill(processes[0].pid!, 'SIGKILL');
    const query = { query: 'count_over_time({app="a"}[1h])' };
    for (const { http } of processes.slice(1)) assert.match((await get(http, '/loki/api/v1/query', query)).text, /"1"\]/);
    const after = await reached((state) => allActive(state) && state.processes[0].pid !== processes[0].pid);
    while ((await get(after.gateway, '/ready')).status !== 200) await sleep(50);
    assert.match((await get(after.gateway, '/loki/api/v1/query', query)).text, /"1"\]/);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, output);
    for (const { pid } of after.processes) assert.throws(() => process.kill(pid!, 0));
    assert.match(output, /process-0 +ended with SIGKILL/);
  } finally {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true, force: true });
  }
});
