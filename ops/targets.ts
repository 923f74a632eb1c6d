/** What a process may be of. The gateway is its HTTP API and its services for NATS clients. */
export const COMPONENTS = [
  'distributor',
  'ingester',
  'querier',
  'query-frontend',
  'query-scheduler',
  'compactor',
  'gateway',
  'kafka-source',
] as const;
export type Component = (typeof COMPONENTS)[number];

const GROUPS = {
  all: COMPONENTS,
  write: ['distributor', 'ingester'],
  read: ['query-frontend', 'querier'],
  backend: ['query-scheduler', 'compactor'],
} as const satisfies Record<string, readonly Component[]>;

export type Target = Component | keyof typeof GROUPS;
export const TARGETS: readonly Target[] = [...(Object.keys(GROUPS) as (keyof typeof GROUPS)[]), ...COMPONENTS];

/** The components that a process is made of, by what its target names. `hasSources`: whether there is something to be read from Kafka: if not, `all` does not mean who does. */
export function componentsOf(targets: readonly Target[], hasSources: boolean): ReadonlySet<Component> {
  const named = targets.flatMap((target): readonly Component[] => (isGroup(target) ? GROUPS[target] : [target]));
  if (hasSources) return new Set(named);
  if (targets.includes('kafka-source')) throw new Error('-target=kafka-source needs sources.kafka, which says what is read');
  return new Set(named.filter((component) => component !== 'kafka-source'));
}

function isGroup(target: Target): target is keyof typeof GROUPS {
  return Object.hasOwn(GROUPS, target);
}

/** Whether a process of these components can do everything alone; who reads from Kafka is not needed for that. */
export function isWhole(components: ReadonlySet<Component>): boolean {
  return COMPONENTS.every((component) => component === 'kafka-source' || components.has(component));
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
