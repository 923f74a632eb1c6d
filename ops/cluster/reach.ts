import { distributorProtocol, ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { frontendProtocol, patternProtocol, querierProtocol } from '../../actors/protocol/query.ts';
import { schedulerProtocol } from '../../actors/protocol/schedule.ts';
import { tailerProtocol, tailFrontendProtocol } from '../../actors/protocol/tail.ts';
import { connectNats, type NatsBroker } from '../../topology/nats/connect.ts';
import type { Kv } from '../../topology/ring/kv.ts';
import { NatsKv } from '../../topology/ring/kv-nats.ts';
import { NatsTransport } from '../../topology/transport/nats.ts';
import type { Instruments } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import type { Component } from '../targets.ts';
import type { ClusterSettings } from './options.ts';
import { type RingStore, ringStore } from './ring-store.ts';

/** Their instances have names that no other process has. */
const SPANNING: ReadonlySet<string> = new Set(
  [
    distributorProtocol,
    ingesterProtocol,
    querierProtocol,
    patternProtocol,
    tailerProtocol,
    schedulerProtocol,
    frontendProtocol,
    tailFrontendProtocol,
  ].map(({ component }) => component),
);
/** Copies of a ring's store, where NATS has as many servers. */
const RING_REPLICAS = 3;

/** How often each view of a ring is proven to be whole: a part of the time after which silence counts, and well below that in which a ring takes itself for blind. */
const PROOF = { leastMs: 1_000, mostMs: 5_000, ofTimeout: 1 / 12 };

/** A thread's way to the other processes. */
export interface ClusterReach extends RingStore {
  readonly transport: NatsTransport;
  /** After the transport. */
  close(): Promise<void>;
}

/** Connects, however long that takes. `name`: of the thread. Rejects if NATS refuses. */
export async function reachCluster(settings: ClusterSettings, name: string, world: World, instruments: Instruments): Promise<ClusterReach> {
  const { nats, cluster, instance, ring } = settings;
  const connectAs = (use: string): Promise<NatsBroker> => connectNats(nats, `millrace ${cluster}/${instance} ${name} ${use}`, instruments);
  const [control, bulk] = await Promise.all([connectAs('control'), connectAs('bulk')]);
  const transport = new NatsTransport({ world, instruments, cluster, control, bulk, components: SPANNING });
  const kv = (component: Component): Kv =>
    new NatsKv(control, {
      bucket: `millrace-${Buffer.from(cluster).toString('hex')}-${component}`,
      replicas: Math.min(RING_REPLICAS, serversOf(control)),
      proofMs: Math.min(PROOF.mostMs, Math.max(PROOF.leastMs, PROOF.ofTimeout * ring.heartbeatTimeout)),
      world,
      log: instruments.log,
    });
  return {
    transport,
    ...ringStore({ kv, heartbeatTimeoutMs: ring.heartbeatTimeout, world, log: instruments.log }),
    close: async () => {
      await Promise.all([control.close(), bulk.close()]);
    },
  };
}

/** Of the NATS cluster, as far as the one that we are connected to knows. */
function serversOf({ connection }: NatsBroker): number {
  return connection.info?.cluster === undefined ? 1 : Math.max(1, connection.info.connect_urls?.length ?? 1);
}
