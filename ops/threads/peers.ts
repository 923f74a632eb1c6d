import { type Neighbours, noNeighbours, ringNeighbours } from '../../actors/ingester/neighbours.ts';
import { bufferedIngesters, type Ingesters, localIngesters, ringIngesters } from '../../actors/ingesters.ts';
import type { LimitShares } from '../../actors/limit-shares.ts';
import { localSchedulers, ringSchedulers, type Schedulers } from '../../actors/schedulers.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import type { ClusterSettings } from '../cluster/options.ts';
import type { ClusterReach } from '../cluster/reach.ts';
import type { Component } from '../targets.ts';

/** Instance of what a process that is alone has one of. */
export const ONLY_INSTANCE = '0';

/** Which other actors there are that a thread's actors work with. */
export interface Peers {
  ingesters(): Promise<Ingesters>;
  /** Of this process's own ingesters. */
  neighbours(): Promise<Neighbours>;
  /** Of the ingesters of a cluster. */
  ingesterRing(): Promise<Ring>;
  schedulers(): Promise<Schedulers>;
  /** What part of its tenants' limits this process keeps. */
  limitShares(): Promise<LimitShares>;
  /** Whether what one instance of a component does for all is done by this process. */
  isChosen(component: Component): Promise<() => boolean>;
  close(): void;
}

/** Those of this process alone, whose ingesters are these. */
export function ownPeers(ingesters: readonly string[]): Peers {
  return {
    ingesters: async () => localIngesters(ingesters),
    neighbours: async () => noNeighbours,
    ingesterRing: () => Promise.reject(new Error('a process that is alone has no ring')),
    schedulers: async () => localSchedulers([ONLY_INSTANCE]),
    limitShares: async () => ({ rate: () => 1, streams: () => 1 }),
    isChosen: async () => () => true,
    close: () => {},
  };
}

/** Those that the rings of a cluster tell of. `isBuffered`: Kafka is in front of ingesters. */
export function clusterPeers(reach: ClusterReach, settings: ClusterSettings, isBuffered: boolean): Peers {
  const rings = new Map<Component, Promise<Ring>>();
  const ringOf = (component: Component): Promise<Ring> => {
    const known = rings.get(component) ?? reach.ring(component);
    rings.set(component, known);
    return known;
  };
  return {
    async ingesters() {
      const ring = await ringOf('ingester');
      return isBuffered ? bufferedIngesters(ring) : ringIngesters(ring, settings.ring.replicationFactor);
    },
    ingesterRing: () => ringOf('ingester'),
    neighbours: async () => ringNeighbours(await ringOf('ingester'), settings.instance, settings.incarnation),
    schedulers: async () => ringSchedulers(await ringOf('query-scheduler')),
    async limitShares() {
      const { replicationFactor } = settings.ring;
      const [distributors, ingesters] = await Promise.all([ringOf('distributor'), ringOf('ingester')]);
      return {
        rate: whileUnchanged(distributors, () => 1 / activeIn(distributors)),
        // Behind Kafka nobody sees all streams but who takes them in, which is any distributor.
        streams: isBuffered ? () => 1 : whileUnchanged(ingesters, () => Math.min(1, replicationFactor / activeIn(ingesters))),
      };
    },
    async isChosen(component) {
      const ring = await ringOf(component);
      return whileUnchanged(ring, () => ring.instances().find(({ isAlive }) => isAlive)?.instance.id === settings.instance);
    },
    close: () => {
      for (const ring of rings.values()) void ring.then((one) => one.close());
    },
  };
}

function activeIn(ring: Ring): number {
  return Math.max(1, ring.instances().filter(({ instance: { state }, isAlive }) => isAlive && state === 'ACTIVE').length);
}

/** Worked out anew only after the ring has changed. */
function whileUnchanged<T>(ring: Ring, work: () => T): () => T {
  let known: { readonly version: number; readonly value: T } | undefined;
  return () => {
    if (known?.version !== ring.version) known = { version: ring.version, value: work() };
    return known.value;
  };
}
