import { shardInstance } from '../../actors/ingesters.ts';

/** What a worker thread is for: to take in a shard, to answer for it, or to do what nobody waits for. */
export type ThreadRole = 'ingest' | 'query' | 'compactor';

export interface ThreadPlace {
  readonly role: ThreadRole;
  /** Of the shard, for those that have one; otherwise 0. */
  readonly index: number;
}

/** The threads beside the main one of a process with this many shards. */
export function threadPlaces(shards: number): ThreadPlace[] {
  const perShard = (role: ThreadRole): ThreadPlace[] => Array.from({ length: shards }, (_, index) => ({ role, index }));
  return [...perShard('ingest'), ...perShard('query'), { role: 'compactor', index: 0 }];
}

/** Instances of the actors that a process has for each of its shards. `instance`: of the process, if it is one of several. */
export function shardInstances(shards: number, instance: string | undefined): string[] {
  return Array.from({ length: shards }, (_, shard) => (instance === undefined ? String(shard) : shardInstance(instance, shard)));
}

/** What the thread is called in logs, metrics and lists. */
export function threadName({ role, index }: ThreadPlace): string {
  return role === 'compactor' ? role : `${role}-${index}`;
}
