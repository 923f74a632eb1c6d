import { Fault } from '../ops/base/fault.ts';
import { type StreamHash, shardOf } from '../storage/batch/batch.ts';
import { placementHash, quorumOf } from '../topology/ring/placement.ts';
import type { Ring, SeenProcess } from '../topology/ring/ring.ts';
import type { Subscription } from '../topology/transport/transport.ts';
import type { Asker, AskOptions } from './kernel/define.ts';
import { type IngesterAsk, type IngesterProcess, type IngesterReply, ingesterProtocol } from './protocol/ingest.ts';

/** Ingesters that fail together: the shards of one process. Each is an instance of the actor. */
export interface IngesterGroup {
  readonly name: string;
  /** Of the process's start that is known; absent if there is no other. */
  readonly incarnation?: string;
  /** Whether it has to have heard of all that may have entries and are not known here; it has, if absent. */
  readonly introduced?: boolean;
  readonly instances: readonly string[];
}

/** Where a copy goes. */
export interface Replica {
  readonly instance: string;
  /** See IngesterGroup. */
  readonly incarnation?: string;
}

/** Which ingesters there are: where entries go, and who may have some. */
export interface Ingesters {
  /** Those that each take a copy of a stream's entries; fewer than the quorum where too few are there. */
  replicasOf(tenant: string, hash: StreamHash): readonly Replica[];
  /** Copies that make an entry durable. */
  readonly quorum: number;
  /** Copies that there are of an entry, until it is in storage. */
  readonly copies: number;
  /** All that may have entries that storage lacks. */
  groups(): readonly IngesterGroup[];
  /** Of the processes that others named, those that may be there: not those that have left since. */
  unknown(named: readonly SeenProcess[]): readonly IngesterGroup[];
  /** How many groups may fail to answer: what they took in, others took too. */
  readonly tolerated: number;
  /** Whether entries are in logs that no ingester has to itself, so that any of them may come to read each. */
  readonly shareLogs: boolean;
  /** Runs `action` when there may be others. */
  onChange(action: () => void): Subscription;
}

/** Those of this process alone. */
export function localIngesters(instances: readonly string[]): Ingesters {
  const groups = [{ name: 'this process', instances }];
  const single = instances.map((instance) => [{ instance }]);
  return {
    replicasOf: (_, hash) => single[shardOf(hash, single.length)],
    quorum: 1,
    copies: 1,
    groups: () => groups,
    unknown: () => [],
    tolerated: 0,
    shareLogs: false,
    onChange: () => ({ close: () => {} }),
  };
}

/** Those of a ring. */
export function ringIngesters(ring: Ring, replicationFactor: number): Ingesters {
  let groups: readonly IngesterGroup[] = [];
  let version = -1;
  return {
    replicasOf: (tenant, hash) =>
      ring
        .replicas(placementHash(tenant, hash), replicationFactor)
        .map(({ id, incarnation, shards }) => ({ instance: shardInstance(id, shardOf(hash, shards)), incarnation })),
    quorum: quorumOf(replicationFactor),
    copies: replicationFactor,
    groups() {
      if (version !== ring.version) {
        // One that is pending has nothing yet in this life, but may have had before.
        groups = ring.processes().map(groupOf);
        version = ring.version;
      }
      if (groups.length === 0) throw new Fault('unavailable', 'no ingester is known', { retryAfterS: 1 });
      return groups;
    },
    unknown(named) {
      const latest = new Map<string, SeenProcess>();
      for (const one of named) {
        // News comes in the order of revisions: one that was told of here, and is not there, is gone.
        if (one.revision > ring.revision && one.revision > (latest.get(one.process)?.revision ?? 0)) latest.set(one.process, one);
      }
      return [...latest.values()].map(groupOf);
    },
    tolerated: Math.floor((replicationFactor - 1) / 2),
    shareLogs: false,
    onChange: (action) => ring.onChange(action),
  };
}

/** Those of a ring behind Kafka, where only its owner has what a partition took in lately. Their replies tell how complete an answer is, not their number. */
export function bufferedIngesters(ring: Ring): Ingesters {
  return { ...ringIngesters(ring, 1), tolerated: Number.POSITIVE_INFINITY, shareLogs: true };
}

/** Of the actor for one shard of a process in a cluster. */
export function shardInstance(process: string, shard: number): string {
  return `${process}-${shard}`;
}

export function shardInstances({ process, shards }: Pick<IngesterProcess, 'process' | 'shards'>): string[] {
  return Array.from({ length: shards }, (_, shard) => shardInstance(process, shard));
}

function groupOf(ingester: SeenProcess): IngesterGroup {
  const { process, incarnation, introduced } = ingester;
  return { name: process, incarnation, introduced, instances: shardInstances(ingester) };
}

type Readable = 'select' | 'series';
type Question<K extends Readable> = Omit<Extract<IngesterAsk, { kind: K }>, 'known' | 'meantFor'> & { kind: K };

/** Asks all that may have entries: those that are known here, and those that one of them knows, until nobody names another. Rejects with what the first of too many that failed said, or with
 *  Fault unavailable if none answered of those that must have heard of whoever is new. With `onShort` it calls that in place of both, and resolves with what there is. */
export async function askIngesters<K extends Readable>(
  ingesters: Ingesters,
  asker: Asker,
  question: Question<K>,
  options: AskOptions,
  onShort?: () => void,
): Promise<IngesterReply[K][]> {
  const known = new Set<string>();
  let failed = 0;
  let areAllKnown = false;
  const askGroup = async ({ incarnation, introduced = true, instances }: IngesterGroup): Promise<IngesterReply[K][]> => {
    const ask = { ...question, known: [...known], ...(incarnation !== undefined && { meantFor: incarnation }) } as Extract<
      IngesterAsk,
      { kind: K }
    > & { kind: K };
    try {
      const replies = await Promise.all(
        instances.map((instance) => asker.ask<IngesterAsk, IngesterReply, K>(ingesterProtocol, instance, ask, options)),
      );
      areAllKnown ||= introduced;
      return replies;
    } catch (error) {
      const isAway = error instanceof Fault && error.retry && error.code !== 'deadline';
      if (!isAway) throw error;
      if (++failed > ingesters.tolerated) {
        if (onShort === undefined) throw error;
        onShort();
      }
      return [];
    }
  };
  const replies: IngesterReply[K][] = [];
  for (let next = ingesters.groups(); next.length > 0; ) {
    for (const { name } of next) known.add(name);
    const round = (await Promise.all(next.map(askGroup))).flat();
    if (!areAllKnown) {
      if (onShort === undefined) throw new Fault('unavailable', 'none of the ingesters that know all others answers', { retryAfterS: 1 });
      onShort();
    }
    replies.push(...round);
    next = ingesters.unknown(round.flatMap(({ others }) => others)).filter(({ name }) => !known.has(name));
  }
  return replies;
}
