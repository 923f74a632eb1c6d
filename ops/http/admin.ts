import type { Asker } from '../../actors/kernel/define.ts';
import { ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { Fault } from '../base/fault.ts';
import type { World } from '../base/world.ts';
import type { ConfigMode } from '../config.ts';
import { type BuildInfo, EXPOSITION_TYPE } from '../exposition.ts';
import { LOG_LEVELS, type LogLevel } from '../log.ts';
import { type HttpReply, JSON_TYPE, type Route, TEXT_TYPE } from './route.ts';

export interface AdminDeps {
  readonly asker: Asker;
  readonly world: World;
  readonly build: BuildInfo;
  /** All of them are flushed; without any there is nothing to flush here. */
  readonly ingesters: readonly string[];
  readonly flushTimeoutMs: number;
  /** Whether pushes and queries are served; the reason if not. */
  readonly ready: () => Promise<{ readonly ready: boolean; readonly reason: string }>;
  /** Text for Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Options as YAML. */
  readonly config: (mode: ConfigMode) => string;
  /** Every actor of the process. */
  readonly services: () => Promise<readonly { readonly name: string; readonly state: string }[]>;
  readonly logLevel: { get(): LogLevel; set(level: LogLevel): void };
}

/** Endpoints for operators; `listed`: the other routes, for the page at `/`. */
export function adminRoutes(deps: AdminDeps, listed: readonly Pick<Route, 'methods' | 'path'>[]): Route[] {
  const open = (methods: Route['methods'], path: string, handle: Route['handle']): Route => ({ methods, path, access: 'open', handle });
  const routes = [
    open(['GET', 'HEAD'], '/ready', () => ready(deps)),
    open(['GET'], '/metrics', async () => ({ status: 200, type: EXPOSITION_TYPE, body: await deps.metrics() })),
    open(['GET'], '/config', async (request) => text(deps.config(configMode((await request.params()).get('mode'))))),
    open(['GET'], '/services', async () => text((await deps.services()).map(({ name, state }) => `${name} => ${state}\n`).join(''))),
    open(['GET', 'POST'], '/log_level', async (request) => {
      if (request.method === 'POST') return setLogLevel(deps, await request.params());
      return text(`Current log level is ${deps.logLevel.get()}`);
    }),
    open(['GET'], '/loki/api/v1/status/buildinfo', async () => json(buildInfo(deps.build))),
  ];
  if (deps.ingesters.length > 0) routes.push(open(['GET', 'POST'], '/flush', ({ trace, signal }) => flush(deps, trace, signal)));
  const endpoints = [...listed, ...routes].map(({ methods, path }) => `${methods.join(',').padEnd(10)} ${path}\n`);
  const page = `millrace ${deps.build.version}\n\n${endpoints.join('')}`;
  return [...routes, open(['GET', 'HEAD'], '/', async () => text(page))];
}

async function ready({ ready: state }: AdminDeps): Promise<HttpReply> {
  const { ready: isReady, reason } = await state();
  return isReady ? text('ready\n') : { status: 503, type: TEXT_TYPE, body: `${reason}\n` };
}

/** Loki documents `diffs` and takes `diff`. */
function configMode(mode: string | null): ConfigMode {
  if (mode === 'diff' || mode === 'diffs') return 'diffs';
  return mode === 'defaults' ? 'defaults' : 'effective';
}

/** Resolves once every ingester has put what it holds into object storage. */
async function flush({ asker, world, ingesters, flushTimeoutMs }: AdminDeps, trace: string, signal: AbortSignal): Promise<HttpReply> {
  const deadlineMs = world.clock.monotonicMs() + flushTimeoutMs;
  const options = { tenant: '', deadlineMs, signal, trace };
  await Promise.all(ingesters.map((instance) => asker.ask(ingesterProtocol, instance, { kind: 'flush' }, options)));
  return { status: 204 };
}

function setLogLevel({ logLevel }: AdminDeps, params: URLSearchParams): HttpReply {
  const wanted = params.get('log_level') ?? '';
  const level = LOG_LEVELS.find((known) => known === wanted);
  if (level === undefined) throw new Fault('bad_request', `unrecognized log level "${wanted}", expected one of ${LOG_LEVELS.join(', ')}`);
  logLevel.set(level);
  return json({ status: 'success', message: `Log level set to ${level}` });
}

function buildInfo({ version, revision, branch }: BuildInfo): Record<string, string> {
  return { version, revision, branch, buildUser: '', buildDate: '', goVersion: `node ${process.versions.node}` };
}

function text(body: string): HttpReply {
  return { status: 200, type: TEXT_TYPE, body };
}

function json(value: unknown): HttpReply {
  return { status: 200, type: JSON_TYPE, body: JSON.stringify(value) };
}
