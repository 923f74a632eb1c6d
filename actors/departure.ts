import { asFault, Fault } from '../ops/base/fault.ts';
import type { Counter, Instruments } from '../ops/base/instruments.ts';
import type { World } from '../ops/base/world.ts';
import type { Instance } from '../topology/ring/instance.ts';
import type { Kv } from '../topology/ring/kv.ts';
import type { Ring } from '../topology/ring/ring.ts';
import { moveTokens } from '../topology/ring/tokens.ts';
import { shardInstances } from './ingesters.ts';
import type { Asker, AskOptions } from './kernel/define.ts';
import { type Giver, type IngesterAsk, type IngesterProcess, type IngesterReply, ingesterProtocol } from './protocol/ingest.ts';

export interface DepartureDeps {
  readonly asker: Asker;
  readonly ring: Ring;
  readonly kv: Kv;
  readonly world: World;
  readonly instruments: Instruments;
  /** Of the ring. */
  readonly instance: string;
  readonly zone: string;
  /** Its ingesters, one for each shard. */
  readonly ingesters: readonly string[];
  /** Copies that make an entry durable. */
  readonly quorum: number;
}

const OFFER_TIMEOUT_MS = 2_000;
const HAND_OVER_LIMIT_MS = 600_000;
const FLUSH_LIMIT_MS = 300_000;
/** Tokens that cannot be moved for so long stay where they are. */
const MOVE_LIMIT_MS = 30_000;
const RETRY_MS = 250;

/** How a process leaves the ring of the ingesters for good: what it has goes to others, or else into object storage.
 *
 *  Every acknowledged entry of its heads has copies in zones other than its own, nobody knows where; of those that are left, as many as before may fail. So it goes to one process of its own zone,
 *  which has none of these copies, or to as many others, in zones of their own, as make a quorum by themselves.
 *
 *  It ends in nothing but repeats, wherever it ends: what was handed over is found once, and what was not stays in the log. */
export class Departure {
  readonly #deps: DepartureDeps;
  readonly #giver: Giver;
  readonly #outcomes: Counter;

  constructor(deps: DepartureDeps) {
    const { instance, world, instruments } = deps;
    this.#deps = deps;
    this.#giver = { process: instance, attempt: world.random.id() };
    this.#outcomes = instruments.counter('millrace_ring_handoffs_total', 'Handoffs of what this process had, as it left the ring.', [
      'outcome',
    ]);
  }

  /** Resolves once others have the heads and the tokens. Rejects if too few take them; then the shards are sealed or not. */
  async handOver(signal: AbortSignal): Promise<void> {
    const takers = await this.#findTakers(signal);
    try {
      await this.#handOverTo(takers, signal);
      this.#outcomes.add(1, { outcome: 'taken' });
    } catch (error) {
      this.#outcomes.add(1, { outcome: takers.length === 0 ? 'nobody' : 'failed' });
      this.#deps.instruments.log.warn('not handed over: what is here will be flushed', { error: asFault(error).message });
      throw error;
    } finally {
      for (const taker of takers) this.#endOffer(taker);
    }
  }

  /** Puts everything into object storage. Nothing is pushed here meanwhile, and every query knows of it when this resolves. */
  async flush(signal: AbortSignal): Promise<void> {
    await this.#own({ kind: 'seal', to: [] }, signal);
    await this.#own({ kind: 'flush' }, signal, FLUSH_LIMIT_MS);
    await this.#settle([], signal);
  }

  /** To be called when nobody in the ring knows of the process any more. */
  async letGo(): Promise<void> {
    await this.#own({ kind: 'let_go' });
  }

  async #handOverTo(takers: readonly Instance[], signal: AbortSignal): Promise<void> {
    const { log } = this.#deps.instruments;
    if (takers.length === 0) throw new Fault('unavailable', 'too few instances take what this one has');
    const names = takers.map(({ id }) => id).join(' ');
    const to = takers.map(processOf);
    await this.#own({ kind: 'seal', to }, signal);
    log.info('sealed: pushes are sent on', { to: names });
    const handed = await this.#own({ kind: 'hand_over', giver: this.#giver, to }, signal, HAND_OVER_LIMIT_MS);
    this.#count(handed, names);
    await this.#moveTokens(takers[0], signal);
    await this.#settle(to, signal);
  }

  #count(handed: readonly IngesterReply['hand_over'][], to: string): void {
    const { instruments } = this.#deps;
    const sum = (of: (one: IngesterReply['hand_over']) => number): number => handed.reduce((total, one) => total + of(one), 0);
    const [entries, bytes] = [sum((one) => one.entries), sum((one) => one.bytes)];
    instruments.counter('millrace_ring_handed_over_entries_total', 'Entries handed over to other processes.').add(entries);
    instruments.counter('millrace_ring_handed_over_bytes_total', 'Bytes of batches handed over to other processes.').add(bytes);
    instruments.log.info('handed over', { to, entries, bytes });
  }

  /** Resolves once queries find what was flushed here without asking. Throws Fault unavailable if a shard may have taken something since it was sealed. */
  async #settle(to: IngesterProcess[], signal: AbortSignal): Promise<void> {
    await this.#own({ kind: 'settle' }, signal);
    const seals = await this.#own({ kind: 'seal', to }, signal);
    if (!seals.every(({ wasSealed }) => wasSealed)) throw new Fault('unavailable', 'a shard began anew, and may have taken pushes');
  }

  /** Asks every shard of this process. */
  #own<K extends IngesterAsk['kind']>(
    ask: Extract<IngesterAsk, { kind: K }> & { kind: K },
    signal?: AbortSignal,
    limitMs = Number.POSITIVE_INFINITY,
  ): Promise<IngesterReply[K][]> {
    const { asker, world, ingesters } = this.#deps;
    const options: AskOptions = { tenant: '', deadlineMs: world.clock.monotonicMs() + limitMs, ...(signal && { signal }) };
    return Promise.all(ingesters.map((ingester) => asker.ask<IngesterAsk, IngesterReply, K>(ingesterProtocol, ingester, ask, options)));
  }

  /** Those that have agreed; none if they are too few. */
  async #findTakers(signal: AbortSignal): Promise<Instance[]> {
    const { ring, instance, zone, quorum } = this.#deps;
    const bytes = (await this.#own({ kind: 'status' }, signal)).reduce((sum, { headBytes }) => sum + headBytes, 0);
    const candidates = ring
      .instances()
      .filter(({ isAlive, instance: { id, state } }) => isAlive && id !== instance && (state === 'JOINING' || state === 'ACTIVE'))
      .map((seen) => seen.instance)
      .sort((a, b) => b.registeredMs - a.registeredMs || (a.id < b.id ? -1 : 1));
    for (const candidate of candidates) {
      if (candidate.zone === zone && (await this.#offer(candidate, bytes, signal))) return [candidate];
    }
    const takers: Instance[] = [];
    for (const candidate of candidates) {
      if (candidate.zone === zone || takers.some((taker) => taker.zone === candidate.zone)) continue;
      if (await this.#offer(candidate, bytes, signal)) takers.push(candidate);
      if (takers.length === quorum) return takers;
    }
    for (const taker of takers) this.#endOffer(taker);
    return [];
  }

  async #offer(taker: Instance, bytes: number, signal: AbortSignal): Promise<boolean> {
    const { log } = this.#deps.instruments;
    const refusal = await this.#asked(taker, bytes, signal);
    signal.throwIfAborted();
    if (refusal === '') {
      log.info('offer granted', { by: taker.id, head_bytes: bytes });
      return true;
    }
    log.info('offer refused', { by: taker.id, reason: refusal });
    this.#endOffer(taker);
    return false;
  }

  async #asked(taker: Instance, bytes: number, signal: AbortSignal): Promise<string> {
    const { asker, world } = this.#deps;
    const options = { tenant: '', deadlineMs: world.clock.monotonicMs() + OFFER_TIMEOUT_MS, signal };
    const ask = { kind: 'offer' as const, giver: this.#giver, bytes };
    try {
      const replies = await Promise.all(shardInstances(processOf(taker)).map((shard) => asker.ask(ingesterProtocol, shard, ask, options)));
      return replies.map(({ refusal }) => refusal).find((refusal) => refusal !== '') ?? '';
    } catch (error) {
      return asFault(error).message;
    }
  }

  /** Nobody waits for it: a grant ends by itself. */
  #endOffer(taker: Instance): void {
    const { asker, world } = this.#deps;
    const options = { tenant: '', deadlineMs: world.clock.monotonicMs() + OFFER_TIMEOUT_MS };
    for (const shard of shardInstances(processOf(taker))) {
      asker.ask(ingesterProtocol, shard, { kind: 'end_offer', giver: this.#giver }, options).catch(() => {});
    }
  }

  async #moveTokens({ id }: Instance, signal: AbortSignal): Promise<void> {
    const { kv, ring, world, instance, instruments } = this.#deps;
    const untilMs = world.clock.monotonicMs() + MOVE_LIMIT_MS;
    for (;;) {
      // It may have left itself: nobody would look after them then.
      const taker = ring.find(id);
      if (taker === undefined || taker.instance.state === 'LEAVING') throw new Fault('unavailable', `${id} takes no tokens any more`);
      try {
        await moveTokens(kv, instance, id, signal);
        return instruments.log.info('tokens are moved', { to: id });
      } catch (error) {
        if (signal.aborted || !asFault(error).retry || world.clock.monotonicMs() >= untilMs) throw error;
        await world.timers.sleep(RETRY_MS * (0.5 + world.random.next()), signal);
      }
    }
  }
}

function processOf({ id, incarnation, shards }: Instance): IngesterProcess {
  return { process: id, incarnation, shards };
}
