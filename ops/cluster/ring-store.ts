import { type Kv, MemoryKv } from '../../topology/ring/kv.ts';
import { Ring } from '../../topology/ring/ring.ts';
import type { Logger } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import type { Component } from '../targets.ts';

/** Where the rings of components are kept. */
export interface RingStore {
  kv(component: Component): Kv;
  /** The ring of a component, once everything in it is known. */
  ring(component: Component): Promise<Ring>;
}

export interface RingStoreDeps {
  readonly kv: (component: Component) => Kv;
  readonly heartbeatTimeoutMs: number;
  readonly world: World;
  readonly log: Logger;
}

export function ringStore({ kv, ...options }: RingStoreDeps): RingStore {
  return { kv, ring: (component) => Ring.open(kv(component), { name: component, ...options }) };
}

/** Rings of a process that is alone. */
export function memoryRings(options: Omit<RingStoreDeps, 'kv'>): RingStore {
  const stores = new Map<Component, Kv>();
  const kv = (component: Component): Kv => {
    const known = stores.get(component) ?? new MemoryKv(options.world.clock);
    stores.set(component, known);
    return known;
  };
  return ringStore({ kv, ...options });
}
