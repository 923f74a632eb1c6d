import { frontendOptions } from '../actors/frontend/frontend.ts';
import { MiB } from './base/bytes.ts';
import { type Configuration, generalOptions } from './config.ts';
import type { BuildInfo } from './exposition.ts';
import { indexRoutes } from './http/index-queries.ts';
import { legacyRoutes } from './http/legacy.ts';
import { limitsRoutes } from './http/limits.ts';
import { OutstandingQueries } from './http/outstanding.ts';
import { pushRoutes } from './http/push.ts';
import { queryRoutes } from './http/query.ts';
import type { Route, SocketRoute } from './http/route.ts';
import { tailRoutes } from './http/tail.ts';
import type { ServingProcess } from './process.ts';
import { servesPushes, servesQueries } from './targets.ts';

/** As much as a body may come to when it is decompressed. */
const MAX_BODY_BYTES = 64 * MiB;
const PUSH_TIMEOUT_MS = 30_000;

/** What a process serves of Loki's API, by what it is made of, and what its cluster adds. */
export function apiRoutes(
  serving: ServingProcess,
  configuration: Configuration,
  build: BuildInfo,
): { readonly routes: Route[]; readonly sockets: SocketRoute[] } {
  const { components, memberships } = serving;
  const reading = servesQueries(components) ? readRoutes(serving, configuration, build) : { routes: [], sockets: [] };
  const pushing = servesPushes(components) ? pushes(serving) : [];
  return { routes: [...pushing, ...reading.routes, ...memberships.routes()], sockets: reading.sockets };
}

/** To the distributors of this process, if it has any: to one after the other. */
function pushes({ system, world, workers }: ServingProcess): Route[] {
  const own = workers.instancesOf('distributor');
  return pushRoutes({
    asker: system,
    world,
    distributors: own.length > 0 ? own : ['any'],
    maxBodyBytes: MAX_BODY_BYTES,
    timeoutMs: PUSH_TIMEOUT_MS,
  });
}

function readRoutes(
  { system, world, options, tenantLimits }: ServingProcess,
  configuration: Configuration,
  { version }: BuildInfo,
): { readonly routes: Route[]; readonly sockets: SocketRoute[] } {
  const limits = tenantLimits.of;
  const { tenantLimitsAllowPublish: published } = configuration.valuesOf(generalOptions);
  const outstanding = new OutstandingQueries(configuration.valuesOf(frontendOptions).maxOutstandingPerTenant);
  const querying = { asker: system, world, limits, outstanding };
  const { enabled: patterns } = options.patternIngester;
  const routes = [
    ...queryRoutes(querying),
    ...indexRoutes(querying),
    ...legacyRoutes(querying),
    ...limitsRoutes({ limits, published, patterns, version }),
  ];
  return { routes, sockets: tailRoutes({ messenger: system, world, limits }) };
}
