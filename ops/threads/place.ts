import { shardInstances as instancesOf } from '../../actors/ingesters.ts';
import type { Component } from '../targets.ts';

/** What a worker thread is for: to take in a shard, to answer for it, to do what nobody waits for, or to read what others wrote. */
export type ThreadRole = 'ingest' | 'query' | 'compactor' | 'source';

export interface ThreadPlace {
  readonly role: ThreadRole;
  /** Of the shard, for those that have one; otherwise 0. */
  readonly index: number;
}

/** What each kind of thread runs, and so which kinds a process has. */
const COMPONENTS: Readonly<Record<ThreadRole, readonly Component[]>> = {
  ingest: ['ingester', 'distributor'],
  query: ['querier'],
  compactor: ['compactor'],
  source: ['kafka-source'],
};
/** Kinds of which one is enough for all shards. */
const ONE_OF: ReadonlySet<ThreadRole> = new Set(['compactor', 'source']);

/** The threads beside the main one of a process with this many shards. */
export function threadPlaces(shards: number, components: ReadonlySet<Component>): ThreadPlace[] {
  const roles = (Object.keys(COMPONENTS) as ThreadRole[]).filter((role) => COMPONENTS[role].some((component) => components.has(component)));
  return roles.flatMap((role) => Array.from({ length: ONE_OF.has(role) ? 1 : shards }, (_, index): ThreadPlace => ({ role, index })));
}

/** Instances of the actors that a process has for each of its shards. `instance`: of the process, if it is one of several. */
export function shardInstances(shards: number, instance: string | undefined): string[] {
  return instance === undefined ? Array.from({ length: shards }, (_, shard) => String(shard)) : instancesOf({ process: instance, shards });
}

/** What the thread is called in logs, metrics and lists. */
export function threadName({ role, index }: ThreadPlace): string {
  return ONE_OF.has(role) ? role : `${role}-${index}`;
}
