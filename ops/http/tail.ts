import { checkMatchers } from '../../actors/frontend/query-limits.ts';
import type { Messenger } from '../../actors/kernel/define.ts';
import { type TailFrontendAsk, type TailMessage, tailFrontendProtocol } from '../../actors/protocol/tail.ts';
import { compilePipeline } from '../../logql/pipeline/compile.ts';
import { parseLogQuery } from '../../logql/syntax/parse.ts';
import { Fault } from '../base/fault.ts';
import type { World } from '../base/world.ts';
import { legacyQuery } from './legacy-query.ts';
import { checkLength, type QueryLimits, seen, wantsCategories } from './query.ts';
import { anyTimeRange, limit, QUERY_SINCE_NS, tailDelayS } from './query-params.ts';
import type { HttpRequest, SocketRoute, SocketSession } from './route.ts';

export interface TailDeps {
  readonly messenger: Messenger;
  readonly world: World;
  readonly limits: (tenant: string) => QueryLimits;
}

/** Live tails over websockets. */
export function tailRoutes(deps: TailDeps): SocketRoute[] {
  return [
    { path: '/loki/api/v1/tail', prepare: async (request) => sessionOf(request, await readAsk(request, deps, false), deps) },
    { path: '/api/prom/tail', prepare: async (request) => sessionOf(request, await readAsk(request, deps, true), deps) },
  ];
}

async function readAsk(request: HttpRequest, { world, limits }: TailDeps, legacy: boolean): Promise<TailFrontendAsk> {
  const params = await request.params();
  const nowNs = BigInt(Math.trunc(world.clock.nowMs())) * 1_000_000n;
  const query = legacyQuery(params);
  const expr = parseLogQuery(query);
  compilePipeline(expr.stages, { observed: 'all' });
  const entries = limit(params);
  const tenantLimits = limits(request.tenant);
  const { startNs } = seen(anyTimeRange(params, nowNs, QUERY_SINCE_NS), nowNs, tenantLimits);
  const delayMs = tailDelayS(params) * 1_000;
  checkMatchers(expr, tenantLimits);
  checkLength({ startNs, endNs: startNs > nowNs ? startNs : nowNs }, tenantLimits);
  // Loki refuses no number here. What comes from before the tail is no more than a query may ask for.
  const most = tenantLimits.maxEntriesLimitPerQuery;
  const history = most === 0 ? entries : Math.min(entries, most);
  return { kind: 'tail', query, startNs, limit: history, delayMs, categorize: wantsCategories(request), legacy };
}

function sessionOf({ tenant, trace, signal }: HttpRequest, ask: TailFrontendAsk, { messenger }: TailDeps): SocketSession {
  const options = { tenant, trace, signal, deadlineMs: Number.POSITIVE_INFINITY };
  const stream = messenger.stream(tailFrontendProtocol, 'any', ask, options);
  let messages: AsyncIterator<TailMessage> | undefined;
  const next = async (): Promise<TailMessage> => {
    messages ??= stream[Symbol.asyncIterator](); // begins the tail
    const { value, done } = await messages.next();
    if (done) throw new Fault('unavailable', 'the tail has ended');
    return value;
  };
  return {
    open: async () => void (await next()),
    async run(socket) {
      for (;;) await socket.send((await next()).body);
    },
  };
}
