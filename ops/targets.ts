/** What a process may be of. The gateway is its HTTP API and its services for NATS clients. */
export const COMPONENTS = ['distributor', 'ingester', 'querier', 'query-frontend', 'query-scheduler', 'compactor', 'gateway'] as const;
export type Component = (typeof COMPONENTS)[number];

const GROUPS = {
  all: COMPONENTS,
  write: ['distributor', 'ingester'],
  read: ['query-frontend', 'querier'],
  backend: ['query-scheduler', 'compactor'],
} as const satisfies Record<string, readonly Component[]>;

export type Target = Component | keyof typeof GROUPS;
export const TARGETS: readonly Target[] = [...(Object.keys(GROUPS) as (keyof typeof GROUPS)[]), ...COMPONENTS];

/** The components that a process is made of, by what its target names. */
export function componentsOf(targets: readonly Target[]): ReadonlySet<Component> {
  return new Set(targets.flatMap((target): readonly Component[] => (isGroup(target) ? GROUPS[target] : [target])));
}

function isGroup(target: Target): target is keyof typeof GROUPS {
  return Object.hasOwn(GROUPS, target);
}

/** Whether a process of these components can do everything alone. */
export function isWhole(components: ReadonlySet<Component>): boolean {
  return COMPONENTS.every((component) => components.has(component));
}

/** Which of Loki's HTTP API a process serves: all of it at a gateway, otherwise what is its own. */
export function servesPushes(components: ReadonlySet<Component>): boolean {
  return components.has('gateway') || components.has('distributor');
}

export function servesQueries(components: ReadonlySet<Component>): boolean {
  return components.has('gateway') || components.has('query-frontend');
}

/** Whether a process reads or writes objects in storage. */
export function usesStorage(components: ReadonlySet<Component>): boolean {
  return components.has('ingester') || components.has('querier') || components.has('compactor');
}
