import type { Logger } from '../ops/base/instruments.ts';
import type { World } from '../ops/base/world.ts';
import type { Ring, SeenInstance } from '../topology/ring/ring.ts';
import { shardInstances } from './ingesters.ts';
import type { Asker } from './kernel/define.ts';
import { ingesterProtocol } from './protocol/ingest.ts';

export interface IntroductionDeps {
  readonly asker: Asker;
  readonly ring: Ring;
  readonly world: World;
  readonly log: Logger;
  readonly instance: string;
}

const ASK_TIMEOUT_MS = 2_000;
const RETRY_MS = 50;
const MOST_RETRY_MS = 1_000;
/** One that should be there, and does not answer for so long, serves nobody, and is not waited for any more. */
const PATIENCE_MS = 5_000;

/** Resolves once every ingester that is there has heard of this registration of `instance`. Whoever reads asks all that it knows of, and is told by them of the others that they know: so it finds what was pushed to
 *  this one, however late its own news is. Those that are new themselves are not asked: they see the keys of all who were introduced before theirs was made. Nor are those waited for that do not answer, and have
 *  stopped, or are silent, or do not come back within some seconds: most of them read the ring as they start. */
export async function introduce(deps: IntroductionDeps, registration: string, signal: AbortSignal): Promise<void> {
  const { ring, world, instance } = deps;
  const round = new Introduction(deps, registration);
  for (let attempt = 1; ; attempt++) {
    // Once its own key is seen here, so are those of all who were there before it.
    if (ring.instance(instance)?.registration === registration && (await round.run(signal))) return;
    await world.timers.sleep(Math.min(MOST_RETRY_MS, RETRY_MS * attempt) * (0.5 + world.random.next()), signal);
  }
}

class Introduction {
  readonly #deps: IntroductionDeps;
  readonly #registration: string;
  /** Registrations of those that have heard of it. */
  readonly #heard = new Set<string>();
  /** Since when others have not answered, by their registration. */
  readonly #silentSince = new Map<string, number>();

  constructor(deps: IntroductionDeps, registration: string) {
    this.#deps = deps;
    this.#registration = registration;
  }

  /** Asks those that have not said yet that they have heard of it. Returns whether nobody is waited for any more. */
  async run(signal: AbortSignal): Promise<boolean> {
    const { ring, instance } = this.#deps;
    const others = ring.instances().filter(({ instance: { id, introduced } }) => introduced && id !== instance);
    const done = await Promise.all(others.map((other) => this.#hasHeard(other, signal)));
    return done.every((one) => one);
  }

  async #hasHeard(other: SeenInstance, signal: AbortSignal): Promise<boolean> {
    const { asker, world, log, instance } = this.#deps;
    const { id, incarnation, registration, shards, state } = other.instance;
    if (this.#heard.has(registration)) return true;
    const options = { tenant: '', deadlineMs: world.clock.monotonicMs() + ASK_TIMEOUT_MS, signal };
    const ask = { kind: 'introduce' as const, process: instance, registration: this.#registration, meantFor: incarnation };
    try {
      const asks = shardInstances({ process: id, shards }).map((shard) => asker.ask(ingesterProtocol, shard, ask, options));
      const hasHeard = (await Promise.all(asks)).every((reply) => reply.hasHeard);
      this.#silentSince.delete(registration);
      if (hasHeard) this.#heard.add(registration);
      return hasHeard;
    } catch (error) {
      signal.throwIfAborted();
      const nowMs = world.clock.monotonicMs();
      const sinceMs = this.#silentSince.get(registration) ?? nowMs;
      this.#silentSince.set(registration, sinceMs);
      if (!other.isAlive || state === 'UNHEALTHY') return true;
      if (nowMs - sinceMs < PATIENCE_MS) return false;
      log.warn('one that should be there does not answer, and may not have heard of this instance', {
        instance,
        silent: id,
        error: String(error),
      });
      return true;
    }
  }
}
