import { encodeLogFrame, type FrameEntry } from '../../logql/engine/log-frame.ts';
import { type TailExecution, tailExecution } from '../../logql/engine/tail-execution.ts';
import { MiB } from '../../ops/base/bytes.ts';
import type { Clock } from '../../ops/base/world.ts';
import { Batch } from '../../storage/batch/batch.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { Head } from '../../storage/chunk/head.ts';
import type { Ingesters } from '../ingesters.ts';
import { type AskContext, askOptions, defineActor, type Handlers, type Messenger, type StartContext } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import { querierProtocol } from '../protocol/query.ts';
import { type TailedEntries, type TailerAsk, type TailerReply, tailerProtocol } from '../protocol/tail.ts';
import { Pace, piecesOf } from '../querier/pieces.ts';
import { Turns } from '../turns.ts';
import { IngesterFeeds } from './ingester-feeds.ts';
import type { Arrived } from './tailed-logs.ts';

export interface TailerDeps {
  readonly messenger: Messenger;
  readonly ingesters: Ingesters;
  readonly limits: (tenant: string) => Pick<TenantLimits, 'queryTimeout' | 'maxQueryMemory'>;
}

/** Runs the pipelines of tails over what ingesters take in; the querier of its name tells it what was there before. */
export const tailer = defineActor<TailerAsk, TailerReply, TailerDeps>({
  name: tailerProtocol.component,
  mailbox: { messages: 1_024, bytes: MiB, concurrency: 1_024, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, context) {
    const tails = { running: 0 };
    const handlers: Handlers<TailerAsk, TailerReply> = { tail: (ask, asked) => tail(ask, asked, tails, deps, context) };
    return { handlers, observe: () => ({ tails: tails.running }), stop: async () => {} };
  },
});

/** Entries and bytes of a frame: more become several, so that whoever merges them is never handed much at once. */
const FRAME_ENTRIES = 1_000;
const FRAME_BYTES = MiB / 2;
/** How often a tail is told how far it is when there are no entries for it. */
const TELL_PLACE_MS = 1_000;

async function* tail(
  ask: TailerAsk,
  asked: AskContext,
  tails: { running: number },
  deps: TailerDeps,
  { world, instance }: StartContext,
): AsyncGenerator<TailedEntries> {
  const execution = tailExecution(ask.query, ask);
  const { shard, resume = [] } = ask;
  const matchers = [...execution.matchers];
  const feeds = new IngesterFeeds({ ...deps, world, matchers, shard, resume, options: askOptions(asked) });
  const slices = new Turns(world).begin(asked.signal);
  const pace = new Pace(true);
  tails.running++;
  try {
    await feeds.opened();
    let next = feeds.places;
    yield { phase: 'open', next, frame: [], missed: [] };
    if (ask.resume === undefined)
      yield { phase: 'history', next, frame: await history(ask, asked, deps, instance, world.clock.monotonicMs()), missed: [] };
    for (let toldMs = world.clock.monotonicMs(); ; ) {
      const part = await slices.waiting(feeds.next());
      let last: Uint8Array[] = [];
      for (const frame of framesOf(part, execution, pace, world.clock)) {
        await slices.giveWay();
        if (frame.length === 0) continue;
        if (last.length > 0) yield { phase: 'live', next, frame: last, missed: [] };
        last = frame;
      }
      feeds.passed(part);
      next = feeds.places;
      const nowMs = world.clock.monotonicMs();
      if (last.length === 0 && part.missed.length === 0 && nowMs - toldMs < TELL_PLACE_MS) continue;
      yield { phase: 'live', next, frame: last, missed: part.missed };
      toldMs = nowMs;
    }
  } finally {
    tails.running--;
    await feeds.close();
  }
}

/** The latest entries from before the tail, newest first. */
async function history(
  ask: TailerAsk,
  asked: AskContext,
  { messenger, limits }: TailerDeps,
  querier: string,
  nowMs: number,
): Promise<Uint8Array[]> {
  const { query, shard, fromNs, toNs, limit, categorize, legacy } = ask;
  const { queryTimeout, maxQueryMemory: maxMemory } = limits(asked.tenant);
  const deadlineMs = Math.min(asked.deadlineMs, nowMs + queryTimeout);
  const range = { fromNs, toNs, limit, direction: 'backward' as const };
  const question = { kind: 'logs' as const, query, ...range, categorize, legacy, maxMemory, shard };
  return (await messenger.ask(querierProtocol, querier, question, { ...askOptions(asked), deadlineMs })).frame;
}

/** What of the batches passes the query, and nothing now and then for other work to have its turn. */
function* framesOf({ batches }: Arrived, execution: TailExecution, pace: Pace, clock: Clock): Generator<Uint8Array[]> {
  let gathered: FrameEntry[] = [];
  let bytes = 0;
  for (const source of batches) {
    const batch = new Batch(source as Buffer);
    const labels = parseCanonicalLabels(batch.labels());
    const head = new Head(batch.hour); // puts the rows in order, each once
    head.append(batch);
    for (const piece of piecesOf(head.block(), false, pace)) {
      const startMs = clock.monotonicMs();
      for (const entry of execution.entries(labels, piece)) {
        gathered.push(entry);
        bytes += entry.value.length;
        if (gathered.length < FRAME_ENTRIES && bytes < FRAME_BYTES) continue;
        yield encodeLogFrame(gathered);
        gathered = [];
        bytes = 0;
      }
      pace.took(piece.lineBytes, clock.monotonicMs() - startMs);
      yield [];
    }
    head.free();
  }
  if (gathered.length > 0) yield encodeLogFrame(gathered);
}
