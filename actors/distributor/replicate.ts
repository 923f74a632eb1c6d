import { lengthOf, release } from '../../ops/base/bytes.ts';
import { asFault, Fault, type WireFault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { StreamHash } from '../../storage/batch/batch.ts';
import type { Ingesters, Replica } from '../ingesters.ts';
import { type AskContext, type Asker, askOptions } from '../kernel/define.ts';
import { type IngesterReply, ingesterProtocol, type StreamRefusal } from '../protocol/ingest.ts';

export interface StreamBatch {
  readonly hash: StreamHash;
  readonly bytes: Buffer;
  readonly rows: number;
  /** Of lines and metadata. */
  readonly contentBytes: number;
}

/** What became of batches: those without a quorum of copies are not accepted, though some may be stored. */
export interface Replicated {
  readonly acceptedLines: number;
  readonly acceptedBytes: number;
  /** Streams that were not taken, by a limit of theirs. */
  readonly refusals: readonly StreamRefusal[];
  readonly faults: readonly WireFault[];
}

interface Copy {
  readonly to: Replica;
  readonly batches: StreamBatch[];
}

/** Is told of every copy that is sent, and that fails. */
export interface CopyListener {
  sent(instance: string): void;
  failed(instance: string): void;
}

/** A copy that takes longer counts as one that failed. */
const REPLICA_TIMEOUT_MS = 10_000;

/** Copies of batches, each to the ingesters that are to have it. */
export class Replicator {
  readonly #ingesters: Ingesters;
  readonly #asker: Asker;
  readonly #world: World;

  constructor(ingesters: Ingesters, asker: Asker, world: World) {
    this.#ingesters = ingesters;
    this.#asker = asker;
    this.#world = world;
  }

  /** Resolves once it is known of every batch whether a quorum of copies is durable; copies beyond it go on. `batches` are given away. */
  async send(batches: readonly StreamBatch[], context: AskContext, copies: CopyListener): Promise<Replicated> {
    const { tenant } = context;
    const { quorum } = this.#ingesters;
    const replicas = new Map<string, Copy>();
    const votes = new Votes(quorum);
    for (const batch of batches) {
      const chosen = this.#ingesters.replicasOf(tenant, batch.hash);
      if (chosen.length < quorum) {
        for (const { bytes } of batches) release(bytes);
        throw new Fault('unavailable', `${chosen.length} ingesters take what is new, at least ${quorum} are needed`, { retryAfterS: 1 });
      }
      votes.expect(batch, chosen.length);
      for (const to of chosen) {
        const copy = replicas.get(to.instance);
        if (copy === undefined) replicas.set(to.instance, { to, batches: [batch] });
        else copy.batches.push(batch);
      }
    }
    const isCopied = replicas.size > 1 && quorum > 1;
    const asks = [...replicas.values()].map(({ to, batches: own }) => {
      copies.sent(to.instance);
      return this.#push(to, own, isCopied, context).then(
        (reply) => votes.taken(own, reply),
        (error) => {
          copies.failed(to.instance);
          votes.failed(own, asFault(error));
        },
      );
    });
    if (isCopied) for (const { bytes } of batches) release(bytes);
    await Promise.race([votes.decided, Promise.all(asks)]);
    return votes.result();
  }

  #push(to: Replica, batches: readonly StreamBatch[], isCopied: boolean, context: AskContext): Promise<IngesterReply['push']> {
    const { instance, incarnation } = to;
    const ask = {
      kind: 'push' as const,
      batches: [endToEnd(batches, isCopied)],
      ...(incarnation !== undefined && { meantFor: incarnation }),
    };
    if (!isCopied) return this.#asker.ask(ingesterProtocol, instance, ask, { ...askOptions(context), transfer: true });
    // Its caller may be answered before: the copy is made all the same.
    const deadlineMs = Math.min(context.deadlineMs, this.#world.clock.monotonicMs() + REPLICA_TIMEOUT_MS);
    const { tenant, trace } = context;
    return this.#asker.ask(ingesterProtocol, instance, ask, { tenant, trace, deadlineMs, transfer: true });
  }
}

/** One buffer, since a transfer and a log write cost by the piece. Without `copied` the batches' memory is the buffer's, or is freed. */
function endToEnd(batches: readonly StreamBatch[], copied: boolean): Buffer {
  if (batches.length === 1 && !copied) return batches[0].bytes;
  const whole = Buffer.allocUnsafeSlow(lengthOf(batches.map(({ bytes }) => bytes)));
  let at = 0;
  for (const { bytes } of batches) {
    at += bytes.copy(whole, at);
    if (!copied) release(bytes);
  }
  return whole;
}

interface Ballot {
  missing: number;
  pending: number;
}

/** Counts for every batch how many copies of it are durable. */
class Votes {
  readonly #quorum: number;
  readonly #ballots = new Map<StreamBatch, Ballot>();
  readonly #faults: WireFault[] = [];
  /** By what it says: several copies of a stream are refused alike. */
  readonly #refusals = new Map<string, { readonly refusal: StreamRefusal; count: number }>();
  readonly #decided = Promise.withResolvers<void>();
  #open = 0;
  #copies = 0;

  constructor(quorum: number) {
    this.#quorum = quorum;
  }

  /** Resolves once the outcome of every batch is known. */
  get decided(): Promise<void> {
    return this.#decided.promise;
  }

  expect(batch: StreamBatch, copies: number): void {
    this.#ballots.set(batch, { missing: this.#quorum, pending: copies });
    this.#copies = Math.max(this.#copies, copies);
    this.#open++;
  }

  taken(batches: readonly StreamBatch[], { refusals }: IngesterReply['push']): void {
    for (const refusal of refusals) {
      const key = JSON.stringify(refusal);
      const known = this.#refusals.get(key);
      if (known === undefined) this.#refusals.set(key, { refusal, count: 1 });
      else known.count++;
    }
    this.#count(batches, true);
  }

  failed(batches: readonly StreamBatch[], fault: Fault): void {
    this.#faults.push(fault.toWire());
    this.#count(batches, false);
  }

  #count(batches: readonly StreamBatch[], isDurable: boolean): void {
    for (const batch of batches) {
      const ballot = this.#ballots.get(batch)!;
      const wasOpen = isOpen(ballot);
      ballot.pending--;
      if (isDurable) ballot.missing--;
      if (wasOpen && !isOpen(ballot)) this.#open--;
    }
    if (this.#open === 0) this.#decided.resolve();
  }

  result(): Replicated {
    let [acceptedLines, acceptedBytes, isShort] = [0, 0, false];
    for (const [{ rows, contentBytes }, { missing }] of this.#ballots) {
      if (missing > 0) isShort = true;
      else {
        acceptedLines += rows;
        acceptedBytes += contentBytes;
      }
    }
    // Who refuses a stream has it not: a quorum of the others would be needed.
    const refusals = [...this.#refusals.values()].filter(({ count }) => count > this.#copies - this.#quorum).map(({ refusal }) => refusal);
    for (const { lines, bytes } of refusals) {
      acceptedLines -= lines;
      acceptedBytes -= bytes;
    }
    return {
      acceptedLines: Math.max(0, acceptedLines),
      acceptedBytes: Math.max(0, acceptedBytes),
      refusals,
      faults: isShort ? this.#faults : [],
    };
  }
}

/** Whether more copies may change what becomes of the batch. */
function isOpen({ missing, pending }: Ballot): boolean {
  return missing > 0 && pending >= missing;
}
