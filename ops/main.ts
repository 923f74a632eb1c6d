import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { frontend, frontendOptions } from '../actors/frontend/frontend.ts';
import { ActorSystem } from '../actors/kernel/system.ts';
import { SharedLimits } from '../actors/limits.ts';
import { tailFrontend } from '../actors/tail/tail-frontend.ts';
import { type LimitOverrides, LimitsByTenant } from '../actors/tenant-limits.ts';
import { openFsBlobStore } from '../storage/blob/fs.ts';
import { Router } from '../topology/transport/thread.ts';
import { MiB } from './base/bytes.ts';
import { makeDurableDirectory } from './base/durable-directory.ts';
import { realWorld } from './base/world.ts';
import { clusterSettings, natsServicesConnection } from './cluster/options.ts';
import { commonOptions, filesystemOptions, generalOptions, serverOptions } from './config.ts';
import { ConfigError } from './config-findings.ts';
import { openDataFolder } from './data-folder.ts';
import { type BuildInfo, describeProcess, exposition } from './exposition.ts';
import { limitHeaps } from './heap.ts';
import { adminRoutes } from './http/admin.ts';
import { indexRoutes } from './http/index-queries.ts';
import { legacyRoutes } from './http/legacy.ts';
import { limitsRoutes } from './http/limits.ts';
import { OutstandingQueries } from './http/outstanding.ts';
import { pushRoutes } from './http/push.ts';
import { queryRoutes } from './http/query.ts';
import { createHttpServer } from './http/server.ts';
import { tailRoutes } from './http/tail.ts';
import { type LoadedConfig, loadConfig } from './load-config.ts';
import { Logs } from './log.ts';
import { OverridesWatch } from './overrides-watch.ts';
import { workerOptions } from './sections.ts';
import { Telemetry } from './telemetry.ts';
import { type Readiness, Workers } from './threads/workers.ts';

/** As much as a body may come to when it is decompressed. */
const MAX_BODY_BYTES = 64 * MiB;
const PUSH_TIMEOUT_MS = 30_000;
const FLUSH_TIMEOUT_MS = 300_000;
/** Whatever hangs, the process is gone this long after the time that running requests were given. */
const STOP_LIMIT_MS = 4_500;

limitHeaps();
const inputs = { argv: process.argv.slice(2), env: process.env, readFile: (path: string) => readFileSync(path, 'utf8') };
try {
  const loaded = await loadConfig(inputs, realWorld().files);
  if (loaded.configuration.action === 'run') await serve(loaded);
  else console.log(textFor(loaded));
} catch (error) {
  console.error(error instanceof ConfigError ? error.problems.join('\n') : `millrace: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}

function textFor({ configuration, warnings }: LoadedConfig): string {
  switch (configuration.action) {
    case 'help':
      return configuration.helpText();
    case 'version':
      return `millrace ${buildInfo().version}`;
    case 'verify':
      return [...warnings, 'the configuration is valid'].join('\n');
    default:
      return configuration.toYaml();
  }
}

/** Runs the whole store in this process until it is told to stop. */
async function serve({ configuration, source, overrides, overridesHash, warnings }: LoadedConfig): Promise<void> {
  const { authEnabled, tenantLimitsAllowPublish } = configuration.valuesOf(generalOptions);
  const server = configuration.valuesOf(serverOptions);
  const world = realWorld();
  const logs = new Logs(server.logLevel);
  const telemetry = new Telemetry('main', logs);
  const build = buildInfo();
  describeProcess(telemetry, build);
  const instruments = telemetry.instruments('main');
  for (const warning of warnings) instruments.log.warn('option ignored', { warning });

  const { pathPrefix } = configuration.valuesOf(commonOptions);
  const { chunksDirectory } = configuration.valuesOf(filesystemOptions);
  const settings = clusterSettings(configuration);
  if (settings !== undefined && chunksDirectory === '')
    throw new Error('the processes of a cluster share their storage: -common.storage.filesystem.chunk-directory has to name its folder');
  const servicesNats = natsServicesConnection(configuration);
  const folder = await openDataFolder(pathPrefix, chunksDirectory);
  await makeDurableDirectory(world.files, folder.logs);
  if (chunksDirectory !== '') await makeDurableDirectory(world.files, folder.objects);
  await openFsBlobStore({ root: folder.objects, world });

  const fail = (what: string, error: unknown): void => {
    instruments.log.error(`${what}, ending the process`, { error });
    process.exit(1);
  };
  // Loaded by who is one of several only.
  const cluster =
    settings && (await (await import('./cluster/cluster.ts')).Cluster.find(settings, world, telemetry.instruments('cluster')));
  const router = new Router({ world, instruments, beyond: cluster?.reach.transport });
  const system = new ActorSystem({
    world,
    transport: router,
    instruments,
    onFailed: (actor, error) => fail(`${actor} failed for good`, error),
  });
  const options = workerOptions(configuration);
  const workers = new Workers({
    world,
    instruments,
    logs,
    router,
    asker: system,
    data: {
      shards: server.workers === 0 ? availableParallelism() : server.workers,
      logRoot: folder.logs,
      objectRoot: folder.objects,
      options,
      overrides,
      limitsMemory: new SharedLimits().memory,
      cluster: settings,
    },
    onFailed: (error) => fail('worker threads cannot be kept running', error),
  });
  const tenantLimits = new LimitsByTenant(options.limits, overrides);
  const limits = tenantLimits.of;
  const { enabled: patterns, maxBytesPerQuery } = options.patternIngester;
  const patternBytes = patterns ? maxBytesPerQuery : undefined;
  const answering = { options: configuration.valuesOf(frontendOptions), asker: system, queriers: workers.instances, limits, patternBytes };
  await system.spawn(frontend, answering, { instance: '0' });
  const { tailMaxDuration: maxDurationMs, multiTenantQueriesEnabled } = options.querier;
  await system.spawn(tailFrontend, { messenger: system, tailers: workers.instances, maxDurationMs, limits }, { instance: '0' });

  const outstanding = new OutstandingQueries(configuration.valuesOf(frontendOptions).maxOutstandingPerTenant);
  const querying = { asker: system, world, limits, outstanding };
  const served = [
    ...pushRoutes({
      asker: system,
      world,
      distributors: workers.instances,
      maxBodyBytes: MAX_BODY_BYTES,
      timeoutMs: PUSH_TIMEOUT_MS,
    }),
    ...queryRoutes(querying),
    ...indexRoutes(querying),
    ...legacyRoutes(querying),
  ];
  const sockets = cluster === undefined ? tailRoutes({ messenger: system, world, limits }) : [];
  served.push(...limitsRoutes({ limits, published: tenantLimitsAllowPublish, patterns, version: build.version }));
  if (cluster !== undefined) served.push(...cluster.routes());
  const isServing = async (): Promise<Readiness> => {
    const own = await workers.ready();
    return cluster === undefined ? own : cluster.readiness(own);
  };
  const admin = adminRoutes(
    {
      asker: system,
      world,
      build,
      ingesters: workers.instances,
      flushTimeoutMs: FLUSH_TIMEOUT_MS,
      ready: isServing,
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
    [...served, ...sockets.map(({ path }) => ({ methods: ['GET' as const], path }))],
  );
  const httpDeps = { world, instruments: telemetry.instruments('http'), options: { ...server, authEnabled, multiTenantQueriesEnabled } };
  const clients =
    servicesNats &&
    (await (
      await import('./nats/clients.ts')
    ).connectClients(servicesNats, {
      routes: served,
      sockets,
      version: build.version,
      authEnabled,
      maxInflightBodyBytes: server.maxInflightBodyBytes,
      world,
      instruments: telemetry.instruments('nats'),
    }));
  const http = createHttpServer([...served, ...admin], httpDeps, sockets);

  const onChange = (changed: LimitOverrides): void => {
    tenantLimits.replace(changed);
    workers.setOverrides(changed);
  };
  const watch = source.paths.length === 0 ? undefined : new OverridesWatch({ world, instruments, source, hash: overridesHash, onChange });

  const stop = stopOnce(server.gracefulShutdownTimeout + STOP_LIMIT_MS, async () => {
    watch?.stop();
    await cluster?.leave();
    await Promise.all([clients?.stop(), http.close(server.gracefulShutdownTimeout)]);
    await workers.stop();
    await system.stop();
    await router.close();
    await cluster?.close();
    instruments.log.info('stopped');
    process.exit(0);
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);

  const port = await http.listen();
  await workers.start();
  cluster?.enter({
    asker: system,
    ingesters: workers.instances,
    ready: () => workers.ready(),
    onReplaced: () => fail('another process is this instance of the cluster now', undefined),
  });
  await clients?.start();
  watch?.run().catch((error) => fail('overrides cannot be read', error));
  const url = `http://${server.httpListenAddress || 'localhost'}:${port}`;
  console.log(`millrace ${build.version} listens on ${url}, data in ${folder.root}`);
  console.log(`  push   ${url}/loki/api/v1/push`);
  console.log(`  query  ${url}/loki/api/v1/query_range, or Grafana's Loki data source at ${url}`);
}

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

function buildInfo(): BuildInfo {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return { version, revision: '', branch: '' };
}
