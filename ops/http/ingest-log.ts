import type { Asker } from '../../actors/kernel/define.ts';
import { ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { Fault } from '../base/fault.ts';
import type { World } from '../base/world.ts';
import { JSON_TYPE, type Route } from './route.ts';

export interface IngestLogDeps {
  readonly asker: Asker;
  readonly world: World;
  /** Of this process, one for each shard. */
  readonly ingesters: readonly string[];
}

const ASK_LIMIT_MS = 30_000;

/** `GET /ingest-log`: the partitions of the ingest topic that this process reads. `POST` says how to go on with one that cannot be read on: with `partition`, `from` and `to` without the records [from, to), which
 *  Kafka has not any more; with `renew=true` from the begin, as the topic was made anew. */
export function ingestLogRoutes({ asker, world, ingesters }: IngestLogDeps): Route[] {
  return [
    {
      methods: ['GET', 'POST'],
      path: '/ingest-log',
      access: 'open',
      async handle(request) {
        const { trace, signal } = request;
        const options = { tenant: '', deadlineMs: world.clock.monotonicMs() + ASK_LIMIT_MS, trace, signal };
        if (request.method === 'GET') {
          const shards = await Promise.all(ingesters.map((one) => asker.ask(ingesterProtocol, one, { kind: 'status' }, options)));
          const partitions = shards.flatMap((shard, index) =>
            (shard.partitions ?? []).map((one) => ({ ingester: ingesters[index], ...one })),
          );
          return { status: 200, type: JSON_TYPE, body: JSON.stringify({ partitions }) };
        }
        const params = await request.params();
        if (params.get('renew') === 'true') await asker.ask(ingesterProtocol, await stoppedAt(), { kind: 'renew' }, options);
        else await asker.ask(ingesterProtocol, ingesters[0], { kind: 'give_up', ...givenUp(params) }, options);
        return { status: 204 };

        async function stoppedAt(): Promise<string> {
          for (const one of ingesters) {
            const { partitions = [] } = await asker.ask(ingesterProtocol, one, { kind: 'status' }, options);
            if (partitions.some(({ state }) => state === 'stopped')) return one;
          }
          throw new Fault('bad_request', 'none of the partitions that this process reads is stopped');
        }
      },
    },
  ];
}

function givenUp(params: URLSearchParams): { partition: number; from: number; to: number } {
  const [partition, from, to] = ['partition', 'from', 'to'].map((name) => {
    const text = params.get(name) ?? '';
    if (!/^\d{1,15}$/.test(text)) throw new Fault('bad_request', `${name} is to be a number, not '${text}'; or renew=true`);
    return Number(text);
  });
  return { partition, from, to };
}
