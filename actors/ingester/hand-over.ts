import { MiB } from '../../ops/base/bytes.ts';
import { asFault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import { type Batch, batchesIn, shardOf } from '../../storage/batch/batch.ts';
import { shardInstance } from '../ingesters.ts';
import { type AskContext, type Asker, askOptions } from '../kernel/define.ts';
import { type Giver, type IngesterProcess, type IngesterReply, ingesterProtocol } from '../protocol/ingest.ts';
import type { OwnLog } from './own-log.ts';

export interface HandOverDeps {
  readonly asker: Asker;
  readonly world: World;
  readonly giver: Giver;
  readonly to: readonly IngesterProcess[];
  /** The handoff is given up. */
  readonly signal: AbortSignal;
}

/** Copied at once: more than this is never in memory beside the heads, but for a batch that is longer. */
const ROUND_BYTES = 2 * MiB;
/** Each is one ask for every successor's shard, and one record there. */
const ROUND_TENANTS = 64;
const TAKE_TIMEOUT_MS = 10_000;
/** A successor that takes nothing for so long is given up. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 250;

/** Sends all that is in heads only to every successor, where it is durable when this resolves. Rejects if one of them does not take it, or if a log cannot be read. */
export async function handOver(logs: readonly OwnLog[], deps: HandOverDeps): Promise<IngesterReply['hand_over']> {
  const round = new Map<string, Buffer[]>();
  const handed = { entries: 0, bytes: 0 };
  let roundBytes = 0;
  const send = async (): Promise<void> => {
    await Promise.all([...round].map(([tenant, parts]) => sendTenant(tenant, parts, deps)));
    round.clear();
    roundBytes = 0;
  };
  for (const log of logs) {
    for await (const { tenant, batches } of log.unstored()) {
      for (const { bytes, rows } of batches) {
        const parts = round.get(tenant);
        // A record's memory is borrowed until the next.
        const copy = Buffer.from(bytes);
        if (parts === undefined) round.set(tenant, [copy]);
        else parts.push(copy);
        roundBytes += bytes.length;
        handed.entries += rows;
        handed.bytes += bytes.length;
        if (roundBytes >= ROUND_BYTES || round.size >= ROUND_TENANTS) await send();
      }
    }
  }
  await send();
  return handed;
}

async function sendTenant(tenant: string, parts: readonly Buffer[], deps: HandOverDeps): Promise<void> {
  const batches = parts.flatMap((part) => [...batchesIn(part)]);
  await Promise.all(
    deps.to.flatMap((successor) =>
      [...byInstance(batches, successor)].map(([instance, own]) => sendUntilTaken(tenant, instance, own, deps)),
    ),
  );
}

async function sendUntilTaken(tenant: string, instance: string, batches: readonly Batch[], deps: HandOverDeps): Promise<void> {
  const { asker, world, giver, signal } = deps;
  const untilMs = world.clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    try {
      const deadlineMs = world.clock.monotonicMs() + TAKE_TIMEOUT_MS;
      const ask = { kind: 'take_over' as const, giver, batches: [joined(batches)] };
      await asker.ask(ingesterProtocol, instance, ask, { tenant, deadlineMs, signal, transfer: true });
      return;
    } catch (error) {
      // Taken twice is no harm.
      if (!asFault(error).retry || signal.aborted || world.clock.monotonicMs() >= untilMs) throw error;
      await world.timers.sleep(RETRY_MS * (0.5 + world.random.next()), signal);
    }
  }
}

/** A push that came after the seal, to every successor: it counts as taken if all of them take it, and refused is what one of them refuses. */
export async function sendOn(
  parts: readonly Uint8Array[],
  to: readonly IngesterProcess[],
  asker: Asker,
  context: AskContext,
): Promise<IngesterReply['push']> {
  const batches = parts.flatMap((part) => [...batchesIn(part as Buffer)]);
  const replies = await Promise.all(
    to.map(async (successor) => {
      const asks = [...byInstance(batches, successor)].map(([instance, own]) =>
        asker.ask(
          ingesterProtocol,
          instance,
          { kind: 'push', batches: [joined(own)], meantFor: successor.incarnation, isSentOn: true },
          { ...askOptions(context), transfer: true },
        ),
      );
      return (await Promise.all(asks)).reduce(added, { acceptedLines: 0, acceptedBytes: 0, refusals: [] });
    }),
  );
  const least = replies.reduce((one, other) => (other.acceptedLines < one.acceptedLines ? other : one));
  // Several refuse the same with the same words.
  const refusals = new Map(replies.flatMap((reply) => reply.refusals).map((refusal) => [JSON.stringify(refusal), refusal]));
  return { ...least, refusals: [...refusals.values()] };
}

function added(sum: IngesterReply['push'], reply: IngesterReply['push']): IngesterReply['push'] {
  return {
    acceptedLines: sum.acceptedLines + reply.acceptedLines,
    acceptedBytes: sum.acceptedBytes + reply.acceptedBytes,
    refusals: [...sum.refusals, ...reply.refusals],
  };
}

/** By the successor's shard whose each is. */
function byInstance(batches: Iterable<Batch>, { process, shards }: IngesterProcess): Map<string, Batch[]> {
  const groups = new Map<string, Batch[]>();
  for (const batch of batches) {
    const instance = shardInstance(process, shardOf(batch.hash, shards));
    const group = groups.get(instance);
    if (group === undefined) groups.set(instance, [batch]);
    else group.push(batch);
  }
  return groups;
}

function joined(batches: readonly Batch[]): Buffer {
  return Buffer.concat(batches.map(({ bytes }) => bytes));
}
