import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { get, nowNs, push } from '../support/client.ts';
import { HEARTBEAT_TIMEOUT_MS, TestCluster } from '../support/cluster.ts';
import { LOAD_TIMEOUT_MS, ROUNDS, underLoad } from '../support/cluster-load.ts';
import { NatsServer, startThreeNatsServers, withoutNats } from '../support/nats.ts';
import { natsFlags, securedNats } from '../support/nats-secured.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-cluster-nats-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('cluster: each of three NATS servers is killed and started again: no answer is short, every acknowledged entry is found exactly once', {
  skip: withoutNats,
  timeout: LOAD_TIMEOUT_MS,
}, async (context) => {
  await using cluster = await TestCluster.start({ nats: startThreeNatsServers });
  await underLoad(
    cluster,
    async (random) => {
      for (const server of Array.from({ length: ROUNDS }, () => cluster.natsServers).flat()) {
        await server.kill();
        await sleep(HEARTBEAT_TIMEOUT_MS + random() * 1_000);
        await server.restart();
        await sleep(1_000); // its copies of what is stored catch up
      }
    },
    (message) => context.diagnostic(message),
  );
});

for (const [what, set] of securedNats) {
  test(`cluster: three processes meet at NATS with ${what}`, { skip: withoutNats, timeout: LOAD_TIMEOUT_MS }, async () => {
    const { config, right } = await set(folder);
    await using cluster = await TestCluster.start({ flags: natsFlags(right), nats: async () => [await NatsServer.start({ config })] });
    const [first, , third] = cluster.urls;
    const values: [string, string][] = [[String(nowNs()), 'said']];
    assert.equal((await push(first, [{ stream: { app: 'a' }, values }])).status, 204);
    const { text } = await get(third, '/loki/api/v1/query', { query: 'sum(count_over_time({app="a"}[1h]))' });
    assert.equal(JSON.parse(text).data.result[0].value[1], '1');
  });
}
