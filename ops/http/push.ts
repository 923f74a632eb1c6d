import type { Asker } from '../../actors/kernel/define.ts';
import { distributorProtocol } from '../../actors/protocol/ingest.ts';
import { faultFromWire } from '../base/fault.ts';
import type { World } from '../base/world.ts';
import { otlpFaultReply } from './otlp-reply.ts';
import type { HttpReply, HttpRequest, Route } from './route.ts';

export interface PushDeps {
  readonly asker: Asker;
  readonly world: World;
  /** Distributor instances; pushes go to one after the other. */
  readonly distributors: readonly string[];
  /** Most bytes of a body as sent. */
  readonly maxBodyBytes: number;
  readonly timeoutMs: number;
}

const LOKI_PATHS = ['/loki/api/v1/push', '/api/prom/push'];
const OTLP_PATH = '/otlp/v1/logs';

export function pushRoutes(deps: PushDeps): Route[] {
  let turn = 0;
  const push = async (request: HttpRequest, format: 'loki' | 'otlp'): Promise<HttpReply> => {
    const { tenant, signal, trace } = request;
    const body = await request.body(deps.maxBodyBytes);
    try {
      const instance = deps.distributors[turn++ % deps.distributors.length];
      const ask = {
        kind: 'push' as const,
        format,
        body: body.bytes,
        contentType: request.header('content-type'),
        contentEncoding: request.header('content-encoding'),
      };
      const deadlineMs = deps.world.clock.monotonicMs() + deps.timeoutMs;
      const { fault } = await deps.asker.ask(distributorProtocol, instance, ask, { tenant, deadlineMs, signal, trace, transfer: true });
      if (fault !== undefined) throw faultFromWire(fault);
      return { status: 204 };
    } finally {
      body.release();
    }
  };
  return [
    ...LOKI_PATHS.map((path): Route => ({ methods: ['POST'], path, access: 'tenant', handle: (request) => push(request, 'loki') })),
    { methods: ['POST'], path: OTLP_PATH, access: 'tenant', handle: (request) => push(request, 'otlp'), faultReply: otlpFaultReply },
  ];
}
