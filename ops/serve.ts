import { hostname } from 'node:os';
import { checkSource, sourcesOptions } from '../actors/source/options.ts';
import type { LimitOverrides } from '../actors/tenant-limits.ts';
import { kafkaOptions } from '../storage/kafka/options.ts';
import { realWorld } from './base/world.ts';
import { clusterSettings, natsServicesConnection } from './cluster/options.ts';
import { generalOptions, isBuffered, serverOptions } from './config.ts';
import { type BuildInfo, describeProcess, exposition } from './exposition.ts';
import { adminRoutes } from './http/admin.ts';
import { ingestLogRoutes } from './http/ingest-log.ts';
import { createHttpServer } from './http/server.ts';
import type { LoadedConfig } from './load-config.ts';
import { Logs } from './log.ts';
import { OverridesWatch } from './overrides-watch.ts';
import { ServingProcess } from './process.ts';
import { apiRoutes } from './routes.ts';
import { openStorage } from './storage.ts';
import { componentsOf, isWhole } from './targets.ts';
import { Telemetry } from './telemetry.ts';

const FLUSH_TIMEOUT_MS = 300_000;
/** Whatever hangs, the process is gone this long after the time that running requests were given. */
const STOP_LIMIT_MS = 4_500;

/** Runs what the target names in this process until it is told to stop. */
export async function serve({ configuration, source, overrides, overridesHash, warnings }: LoadedConfig, build: BuildInfo): Promise<void> {
  const { target, authEnabled } = configuration.valuesOf(generalOptions);
  const { kafka: sources } = configuration.valuesOf(sourcesOptions);
  const components = componentsOf(target, sources.length > 0);
  const server = configuration.valuesOf(serverOptions);
  const world = realWorld();
  const settings = clusterSettings(configuration, world.random.id());
  if (settings === undefined && !isWhole(components))
    throw new Error(
      `-target=${target.join(',')} is a part of a cluster, whose processes meet at NATS: -nats.servers has to name its servers`,
    );
  if (isBuffered(configuration)) {
    if (settings === undefined)
      throw new Error(
        '-common.ingest-log=kafka is for the processes of a cluster: -nats.servers has to name the servers at which they meet',
      );
    if (configuration.valuesOf(kafkaOptions).brokers.length === 0) throw new Error('-common.ingest-log=kafka needs -kafka.brokers');
  }
  const servicesNats = natsServicesConnection(configuration);
  if (servicesNats !== undefined && !components.has('gateway')) throw new Error('-nats.services.enabled needs a gateway in -target');

  if (components.has('kafka-source')) {
    for (const [index, source] of sources.entries()) checkSource(source, index, authEnabled);
    if (configuration.valuesOf(kafkaOptions).brokers.length === 0)
      throw new Error('sources.kafka needs -kafka.brokers: whom it reads from');
  }

  const logs = new Logs(server.logLevel);
  const telemetry = new Telemetry('main', logs);
  describeProcess(telemetry, build);
  const instruments = telemetry.instruments('main');
  for (const warning of warnings) instruments.log.warn('option ignored', { warning });
  const storage = await openStorage(configuration, components, { world, shared: settings !== undefined });
  const fail = (what: string, error: unknown): void => {
    instruments.log.error(`${what}, ending the process`, { error });
    process.exit(1);
  };
  const serving = await ServingProcess.make({
    configuration,
    components,
    settings,
    storage,
    overrides,
    world,
    logs,
    telemetry,
    fail,
  });
  const { system, workers, memberships, tenantLimits } = serving;
  // NATS clients are served last.
  let isStarted = false;
  const { routes, sockets } = apiRoutes(serving, configuration, build);
  const ingesters = workers.instancesOf('ingester');
  const logRoutes = isBuffered(configuration) && ingesters.length > 0 ? ingestLogRoutes({ asker: system, world, ingesters }) : [];
  const admin = adminRoutes(
    {
      asker: system,
      world,
      build,
      ingesters,
      flushTimeoutMs: FLUSH_TIMEOUT_MS,
      ready: async () => (isStarted ? serving.readiness() : { ready: false, reason: 'starting' }),
      metrics: async () => exposition([await telemetry.snapshot(), ...(await workers.metrics())]),
      config: (mode) => configuration.toYaml(mode),
      services: async () => [...system.observe(), ...(await workers.observe())].map(({ address, state }) => ({ name: address, state })),
      logLevel: {
        get: () => logs.level,
        set: (level) => {
          logs.level = level;
          void workers.setLogLevel(level);
        },
      },
    },
    [...routes, ...logRoutes, ...sockets.map(({ path }) => ({ methods: ['GET' as const], path }))],
  );
  const { multiTenantQueriesEnabled } = serving.options.querier;
  const httpDeps = { world, instruments: telemetry.instruments('http'), options: { ...server, authEnabled, multiTenantQueriesEnabled } };
  // Loaded by who has such clients only.
  const clients =
    servicesNats &&
    (await (
      await import('./nats/clients.ts')
    ).connectClients(servicesNats, {
      routes,
      sockets,
      version: build.version,
      authEnabled,
      maxInflightBodyBytes: server.maxInflightBodyBytes,
      world,
      instruments: telemetry.instruments('nats'),
    }));
  const http = createHttpServer([...routes, ...logRoutes, ...admin], httpDeps, sockets);

  const onChange = (changed: LimitOverrides): void => {
    tenantLimits.replace(changed);
    workers.setOverrides(changed);
  };
  const watch = source.paths.length === 0 ? undefined : new OverridesWatch({ world, instruments, source, hash: overridesHash, onChange });

  const stop = stopOnce(server.gracefulShutdownTimeout + STOP_LIMIT_MS, async () => {
    watch?.stop();
    await memberships.leave();
    await Promise.all([clients?.stop(), http.close(server.gracefulShutdownTimeout)]);
    await serving.stop();
    instruments.log.info('stopped');
    process.exit(0);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);

  const port = await http.listen();
  await workers.start();
  await memberships.enter({
    asker: system,
    components,
    instancesOf: (component) => workers.instancesOf(component),
    url: `http://${isAnyAddress(server.httpListenAddress) ? hostname() : server.httpListenAddress}:${port}`,
    ready: () => workers.ready(),
    partitions: () => workers.partitions(),
    onReplaced: () => fail('another process is this instance of the cluster now', undefined),
  });
  await clients?.start();
  isStarted = true;
  watch?.run().catch((error) => fail('overrides cannot be read', error));
  const url = `http://${server.httpListenAddress || 'localhost'}:${port}`;
  const where = storage === undefined ? '' : `, data in ${storage.root}`;
  console.log(`millrace ${build.version} listens on ${url}${where}`);
  for (const [what, path] of ADVERTISED) {
    if (routes.some((route) => route.path === path)) console.log(`  ${what.padEnd(6)} ${url}${path}`);
  }
}

/** Whether it stands for all addresses of this machine. */
function isAnyAddress(address: string): boolean {
  return address === '' || address === '0.0.0.0' || address === '::';
}

/** What is told at the start of what is served. */
const ADVERTISED = [
  ['push', '/loki/api/v1/push'],
  ['query', '/loki/api/v1/query_range'],
] as const;

/** `stop`, run by the first call only; the process ends after `limitMs` even if it hangs. */
function stopOnce(limitMs: number, stop: () => Promise<void>): () => void {
  let stopping = false;
  return () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), limitMs).unref();
    stop().catch((error) => {
      console.error(error);
      process.exit(1);
    });
  };
}
