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

/** What the thread is called in logs, metrics and lists. */
export function threadName({ role, index }: ThreadPlace): string {
  return role === 'compactor' ? role : `${role}-${index}`;
}
