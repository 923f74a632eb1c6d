import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distributor, otlpOptions } from '../../../actors/distributor/distributor.ts';
import { localIngesters } from '../../../actors/ingesters.ts';
import { type AskContext, defineActor } from '../../../actors/kernel/define.ts';
import { limitsOptions, SharedLimits } from '../../../actors/limits.ts';
import { distributorProtocol, type IngesterAsk, type IngesterReply } from '../../../actors/protocol/ingest.ts';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { batchesIn } from '../../../storage/batch/batch.ts';
import { actorSystem } from '../../support/actors.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { pushAsk } from '../../support/push-ask.ts';

type Push = (lines: number, asked: AskContext) => Promise<IngesterReply['push']>;

/** A distributor before ingesters that answer pushes as told. */
async function rig(answers: readonly Push[]) {
  const { world, system } = actorSystem();
  const unasked = async (): Promise<never> => assert.fail('not asked for here');
  for (const [instance, answer] of answers.entries()) {
    const ingester = defineActor<IngesterAsk, IngesterReply, null>({
      name: 'ingester',
      mailbox: { messages: 100, bytes: 1e6, concurrency: 100, whenFull: 'refuse' },
      restart: { strategy: 'one_for_one', max: 1, withinMs: 1_000, backoffMs: { min: 1, max: 1 } },
      start: async () => ({
        handlers: {
          push: ({ batches }, asked) => {
            const rows = batches.flatMap((part) => [...batchesIn(part as Buffer)]).reduce((sum, batch) => sum + batch.rows, 0);
            return answer(rows, asked);
          },
          select: unasked,
          series: unasked,
          tail: () => assert.fail('not asked for here'),
          flush: unasked,
          status: unasked,
          introduce: unasked,
          seal: unasked,
          hand_over: unasked,
          settle: unasked,
          let_go: unasked,
          offer: unasked,
          take_over: unasked,
          end_offer: unasked,
          give_up: unasked,
          renew: unasked,
        },
        observe: () => ({}),
        stop: async () => {},
      }),
    });
    await system.spawn(ingester, null, { instance: String(instance) });
  }
  const limits = { ...defaultsOf(limitsOptions), rejectOldSamples: false };
  const shared = new SharedLimits();
  const ingesters = localIngesters(answers.map((_, index) => String(index)));
  const deps = { asker: system, ingesters, limits: () => limits, shared, otlp: defaultsOf(otlpOptions) };
  await system.spawn(distributor, deps, { instance: '0' });
  const push = (lines: number, signal?: AbortSignal) => {
    const streams = numbers(lines).map((number) => ({ stream: { app: `app-${number}` }, values: [['1735689600000000000', 'line']] }));
    const ask = pushAsk(streams);
    const options = { tenant: 'a', deadlineMs: Number.POSITIVE_INFINITY, ...(signal === undefined ? {} : { signal }) };
    return system.ask(distributorProtocol, '0', ask, options);
  };
  return { world, push };
}

const takes: Push = async (lines) => ({ acceptedLines: lines, acceptedBytes: lines, refusals: [] });
const throws =
  (code: FaultCode): Push =>
  async () => {
    throw new Fault(code, 'no');
  };
const refuses: Push = async (lines) => ({
  acceptedLines: 0,
  acceptedBytes: 0,
  refusals: [{ fault: { code: 'rate_limited', message: 'too fast' }, lines, bytes: lines, reason: 'per_stream_rate_limit' }],
});

const LINES = 40;
const cases: [what: string, ingesters: Push[], takenWhole: boolean, fault: FaultCode | undefined][] = [
  ['every shard takes its part', [takes, takes], true, undefined],
  [
    'a shard that is away: what the other took is durable, and the client is to send again',
    [takes, throws('unavailable')],
    false,
    'unavailable',
  ],
  ['a full disk', [throws('disk_full'), takes], false, 'disk_full'],
  ['a shard in doubt', [takes, throws('in_doubt')], false, 'in_doubt'],
  ['streams over their limit', [takes, refuses], false, 'rate_limited'],
  ['what a retry mends comes before what it does not', [throws('too_large'), throws('unavailable')], false, 'unavailable'],
  ['the same, the other way round', [throws('unavailable'), throws('too_large')], false, 'unavailable'],
];
for (const [what, ingesters, takenWhole, fault] of cases) {
  test(`push to two shards: ${what}`, async () => {
    const { push } = await rig(ingesters);
    const outcome = await push(LINES);
    assert.equal(outcome.fault?.code, fault);
    assert.equal(outcome.acceptedLines === LINES, takenWhole);
    assert.equal(outcome.acceptedLines > 0, ingesters.includes(takes));
  });
}

test('an ingester hears that the client has left', async () => {
  const left = Promise.withResolvers<unknown>();
  const { world, push } = await rig([
    (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => left.resolve(reject(signal.reason)))),
  ]);
  const client = new AbortController();
  const pushed = push(1, client.signal);
  const refused = assert.rejects(pushed, isFault('cancelled'));
  await world.settle();
  client.abort();
  await refused;
  await left.promise;
});
