import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frontendProtocol } from '../../../actors/protocol/query.ts';
import { SingleStore } from '../../support/single-store.ts';

/** The answer to an instant query over three streams of one to three entries. */
async function answer(shardAggregations: readonly string[]): Promise<string> {
  const store = await SingleStore.bootReady({ shards: 2, limits: { shardAggregations } });
  await store.push(
    [1, 2, 2, 3, 3, 3].map((app, index) => ({ labels: { app: `${app}` }, timeNs: 1_000_000_000n + BigInt(index), line: 'x' })),
  );
  const query = 'approx_topk(2, sum by (app) (count_over_time({app=~".+"}[1h])))';
  const ask = { kind: 'instant', query, timeNs: 2_000_000_000n, limit: 1, direction: 'backward', categorize: false } as const;
  try {
    const { body } = await store.system.ask(frontendProtocol, '0', ask, { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY });
    const { data } = JSON.parse(Buffer.concat(body).toString());
    return data.result
      .map(({ metric, value }: { metric: { app: string }; value: [number, string] }) => `${metric.app}:${value[1]}`)
      .join(' ');
  } finally {
    await store.system.stop();
  }
}

test('approx_topk is for tenants whose limits name it', async () => {
  await assert.rejects(answer([]), { message: /^approx_topk is not enabled/ });
  await assert.rejects(answer(['quantile_over_time']), { message: /^approx_topk is not enabled/ });
  assert.equal(await answer(['approx_topk']), '3:3 2:2');
});
