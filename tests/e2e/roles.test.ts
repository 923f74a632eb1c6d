import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Component } from '../../ops/targets.ts';
import { HEARTBEAT_TIMEOUT_MS } from '../support/cluster.ts';
import { LOAD_TIMEOUT_MS, ROUNDS, underLoad } from '../support/cluster-load.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';

const ROLES: readonly Component[] = ['ingester', 'querier', 'query-frontend', 'query-scheduler', 'distributor', 'gateway', 'compactor'];
/** Two of what most clusters have several of, one of what may be missing for a moment. */
const counts = { distributor: 2, querier: 2, gateway: 1 };
/** Flushes come several times a second here: what nobody compacts takes minutes to be read. */
const flags = ['-compactor.compaction-interval=2s'];

const disturbances: [what: string, disturb: (cluster: RoleCluster, random: () => number) => Promise<void>][] = [
  [
    'a process of each kind is killed in turn',
    async (cluster, random) => {
      for (let round = 0; round < ROUNDS; round++) {
        for (const role of ROLES) {
          await sleep(random() * 500);
          const members = cluster.of(role);
          await cluster.kill(members[Math.floor(random() * members.length)]);
        }
      }
    },
  ],
  [
    'an ingester and a querier stand still for longer than their heartbeats may be away',
    async (cluster, random) => {
      for (let round = 0; round < ROUNDS; round++) {
        for (const role of ['ingester', 'querier'] as const) {
          const members = cluster.of(role);
          const { pid } = members[Math.floor(random() * members.length)];
          process.kill(pid!, 'SIGSTOP');
          await sleep(HEARTBEAT_TIMEOUT_MS + 1_000);
          process.kill(pid!, 'SIGCONT');
          await sleep(500);
        }
      }
    },
  ],
  [
    'it grows from three ingesters to five and shrinks again, and every process is started anew',
    async ({ cluster }) => {
      for (let round = 0; round < ROUNDS; round++) {
        await cluster.add('ingester');
        await cluster.add('ingester');
        await cluster.drain('ingester');
        await cluster.drain('ingester');
        for (const role of ROLES) await cluster.restart(role);
      }
    },
  ],
];

for (const [what, disturb] of disturbances) {
  test(`cluster of roles: ${what}: no answer is short, every acknowledged entry is found exactly once`, {
    skip: withoutNats,
    timeout: LOAD_TIMEOUT_MS,
  }, async (context) => {
    await using cluster = await RoleCluster.start({ counts, flags });
    await underLoad(
      cluster,
      (random) => disturb(cluster, random),
      (message) => context.diagnostic(message),
    );
  });
}
