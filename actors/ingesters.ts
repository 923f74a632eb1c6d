import { Fault } from '../ops/base/fault.ts';
import { type StreamHash, shardOf } from '../storage/batch/batch.ts';
import { placementHash, quorumOf } from '../topology/ring/placement.ts';
import type { Ring } from '../topology/ring/ring.ts';
import type { Subscription } from '../topology/transport/transport.ts';
import type { Asker, AskOptions } from './kernel/define.ts';
import { type IngesterAsk, type IngesterReply, ingesterProtocol } from './protocol/ingest.ts';

/** Ingesters that fail together: the shards of one process. Each is an instance of the actor. */
export interface IngesterGroup {
  readonly name: string;
  readonly instances: readonly string[];
}

/** Which ingesters there are: where entries go, and who may have some. */
export interface Ingesters {
  /** Those that each take a copy of a stream's entries; fewer than the quorum where too few are there. */
  replicasOf(tenant: string, hash: StreamHash): readonly string[];
  /** Copies that make an entry durable. */
  readonly quorum: number;
  /** All that may have entries that storage lacks. */
  groups(): readonly IngesterGroup[];
  /** How many groups may fail to answer: what they took in, others took too. */
  readonly tolerated: number;
  /** Runs `action` when there may be others. */
  onChange(action: () => void): Subscription;
}

/** Those of this process alone. */
export function localIngesters(instances: readonly string[]): Ingesters {
  const groups = [{ name: 'this process', instances }];
  const single = instances.map((instance) => [instance]);
  return {
    replicasOf: (_, hash) => single[shardOf(hash, single.length)],
    quorum: 1,
    groups: () => groups,
    tolerated: 0,
    onChange: () => ({ close: () => {} }),
  };
}

/** Those of a ring. */
export function ringIngesters(ring: Ring, replicationFactor: number): Ingesters {
  let groups: readonly IngesterGroup[] = [];
  let version = -1;
  return {
    replicasOf: (tenant, hash) =>
      ring.replicas(placementHash(tenant, hash), replicationFactor).map(({ id, shards }) => shardInstance(id, shardOf(hash, shards))),
    quorum: quorumOf(replicationFactor),
    groups() {
      if (version !== ring.version) {
        // One that is pending has nothing yet in this life, but may have had before.
        groups = ring.instances().map(({ instance: { id, shards } }) => ({
          name: id,
          instances: Array.from({ length: shards }, (_, shard) => shardInstance(id, shard)),
        }));
        version = ring.version;
      }
      if (groups.length === 0) throw new Fault('unavailable', 'no ingester is known', { retryAfterS: 1 });
      return groups;
    },
    tolerated: Math.floor((replicationFactor - 1) / 2),
    onChange: (action) => ring.onChange(action),
  };
}

/** Of the actor for one shard of a process in a cluster. */
export function shardInstance(process: string, shard: number): string {
  return `${process}-${shard}`;
}

type Readable = 'select' | 'series';

/** Asks all that may have entries. Rejects with what the first of too many that failed said. */
export async function askIngesters<K extends Readable>(
  ingesters: Ingesters,
  asker: Asker,
  ask: Extract<IngesterAsk, { kind: K }> & { kind: K },
  options: AskOptions,
): Promise<IngesterReply[K][]> {
  let failed = 0;
  const asked = ingesters.groups().map(async ({ instances }) => {
    try {
      return await Promise.all(
        instances.map((instance) => asker.ask<IngesterAsk, IngesterReply, K>(ingesterProtocol, instance, ask, options)),
      );
    } catch (error) {
      const isAway = error instanceof Fault && error.retry && error.code !== 'deadline';
      if (!isAway || ++failed > ingesters.tolerated) throw error;
      return [];
    }
  });
  return (await Promise.all(asked)).flat();
}
