import type { Logger } from '../../ops/base/instruments.ts';
import type { World } from '../../ops/base/world.ts';
import type { Subscription } from '../transport/transport.ts';
import { type Instance, instanceKey, isInstanceKey, isTokensKey, readInstance, readTokenSet, type TokenSet } from './instance.ts';
import type { Kv, KvEntry, KvWatch } from './kv.ts';
import { Placement } from './placement.ts';

export interface RingOptions {
  /** Component whose instances make the ring. */
  readonly name: string;
  /** An instance whose key has not changed for so long is taken to be gone. */
  readonly heartbeatTimeoutMs: number;
  readonly world: World;
  readonly log: Logger;
}

/** An instance as it is seen from here. */
export interface SeenInstance {
  readonly instance: Instance;
  /** Of its key. */
  readonly revision: number;
  /** Since its key was last seen to change; time in which nothing could be seen does not count. */
  readonly silentMs: number;
  /** Whether its heartbeats come. */
  readonly isAlive: boolean;
  readonly tokens: number;
}

/** What others have to know to ask an instance that is a process. */
export interface RingProcess {
  readonly process: string;
  /** Of the start of it that is known. */
  readonly incarnation: string;
  /** Parts into which it divides its streams. */
  readonly shards: number;
}

/** One as it was seen in a ring. */
export interface SeenProcess extends RingProcess {
  /** A revision of its key; there may have been later ones. */
  readonly revision: number;
  /** Whether it was introduced by then. */
  readonly introduced: boolean;
}

interface Known {
  readonly instance: Instance;
  readonly revision: number;
  readonly changedMs: number;
}

/** How often it is looked whether somebody has fallen silent. */
const LOOK_MS = 500;
/** Without proof that nothing was missed for so long, or for this part of the time-out, everybody is given the whole time-out anew. */
const BLIND = { leastMs: 3_000, ofTimeout: 1 / 4 };

/** What one process knows of a ring. It says where things are best put, and who may have something; nothing that is durable depends on it. While the store is away it stays as it was. */
export class Ring {
  readonly name: string;
  readonly #options: RingOptions;
  readonly #instances = new Map<string, Known>();
  readonly #sets = new Map<string, { readonly set: TokenSet; readonly revision: number }>();
  readonly #listeners = new Set<() => void>();
  #watch: KvWatch | undefined;
  #placement: Placement | undefined;
  /** By where in the placement they begin, until something changes; for `#replicaCount` of them. */
  #replicas = new Map<number, readonly Instance[]>();
  #replicaCount = 0;
  #processes: readonly SeenProcess[] | undefined;
  #version = 0;
  #revision = 0;
  /** Up to when everything was told, when that was last looked at. */
  #provenMs = Number.NEGATIVE_INFINITY;
  /** Nobody was silent before. */
  #sinceMs = Number.NEGATIVE_INFINITY;
  #blindLooks = 0;
  #alive = '';
  #stopLooking: (() => void) | undefined;

  private constructor(options: RingOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Resolves once everything is known that is there. */
  static async open(kv: Kv, options: RingOptions, signal?: AbortSignal): Promise<Ring> {
    const ring = new Ring(options);
    ring.#watch = await kv.watch((entry) => ring.#changed(entry), signal);
    ring.#look();
    return ring;
  }

  close(): void {
    this.#watch?.close();
    this.#stopLooking?.();
  }

  /** Runs `action` after every change: of an instance, of tokens, of who is alive. Heartbeats are none. */
  onChange(action: () => void): Subscription {
    this.#listeners.add(action);
    return { close: () => void this.#listeners.delete(action) };
  }

  /** Of the last change of the store that was told of: all before it were too. */
  get revision(): number {
    return this.#revision;
  }

  /** Grows whenever listeners are told. */
  get version(): number {
    return this.#version;
  }

  /** By id. */
  instances(): SeenInstance[] {
    const owned = new Map<string, number>();
    for (const { set } of this.#sets.values()) owned.set(set.owner, (owned.get(set.owner) ?? 0) + set.tokens.length);
    const seen = [...this.#instances.values()].map(({ instance, revision, changedMs }): SeenInstance => {
      const silentMs = this.#silentMs(changedMs);
      return { instance, revision, silentMs, isAlive: silentMs <= this.#options.heartbeatTimeoutMs, tokens: owned.get(instance.id) ?? 0 };
    });
    return seen.sort((a, b) => (a.instance.id < b.instance.id ? -1 : 1));
  }

  /** What the instance says of itself. */
  instance(id: string): Instance | undefined {
    return this.#instances.get(id)?.instance;
  }

  /** All instances, in short; kept until something changes. */
  processes(): readonly SeenProcess[] {
    this.#processes ??= [...this.#instances.values()].map(({ instance: { id, incarnation, introduced, shards }, revision }) => {
      return { process: id, incarnation, revision, introduced, shards };
    });
    return this.#processes;
  }

  find(id: string): SeenInstance | undefined {
    return this.instances().find(({ instance }) => instance.id === id);
  }

  /** With the revision of its key. */
  tokenSets(): { readonly set: TokenSet; readonly revision: number }[] {
    return [...this.#sets.values()];
  }

  /** Up to `count` instances for what has this hash, none of them in one zone, the best first: those that take what is new, and are alive. */
  replicas(hash: number, count: number): readonly Instance[] {
    this.#placement ??= new Placement([...this.#sets.values()].map(({ set }) => set));
    if (count !== this.#replicaCount) {
      this.#replicas.clear();
      this.#replicaCount = count;
    }
    const first = this.#placement.firstAt(hash);
    const known = this.#replicas.get(first) ?? this.#placement.replicas(first, count, (id) => this.#takesWrites(id));
    this.#replicas.set(first, known);
    return known;
  }

  /** Ids of those that own tokens, in the order in which theirs follow a hash. */
  owners(hash: number): string[] {
    this.#placement ??= new Placement([...this.#sets.values()].map(({ set }) => set));
    return [...this.#placement.ownersFrom(this.#placement.firstAt(hash))];
  }

  #takesWrites(id: string): Instance | undefined {
    const known = this.#instances.get(id);
    if (known === undefined || (known.instance.state !== 'JOINING' && known.instance.state !== 'ACTIVE')) return undefined;
    return this.#silentMs(known.changedMs) <= this.#options.heartbeatTimeoutMs ? known.instance : undefined;
  }

  #silentMs(changedMs: number): number {
    return Math.max(0, this.#provenMs - Math.max(changedMs, this.#sinceMs));
  }

  #changed({ key, value, revision }: KvEntry): void {
    const { world, log } = this.#options;
    this.#revision = revision;
    if (isInstanceKey(key)) {
      const instance = value === undefined ? undefined : readInstance(value);
      if (instance !== undefined) {
        const known = this.#instances.get(instance.id);
        this.#instances.set(instance.id, { instance, revision, changedMs: world.clock.monotonicMs() });
        if (known !== undefined && this.#isHeartbeat(known, instance)) return;
      } else if (value !== undefined) {
        // It may hold entries all the same: it counts as it was.
        log.error('an instance in the ring cannot be read', { ring: this.name, key });
      } else {
        for (const id of [...this.#instances.keys()].filter((known) => instanceKey(known) === key)) this.#instances.delete(id);
      }
    } else if (isTokensKey(key)) {
      const set = value === undefined ? undefined : readTokenSet(value);
      if (set !== undefined) this.#sets.set(key, { set, revision });
      else if (value !== undefined) log.error('tokens in the ring cannot be read', { ring: this.name, key });
      else this.#sets.delete(key);
      this.#placement = undefined;
    } else return;
    this.#tell();
  }

  /** Of one that is as it was, and was heard of in time. */
  #isHeartbeat(
    { instance: before, changedMs }: Known,
    { state, incarnation, registration, introduced, zone, shards, url }: Instance,
  ): boolean {
    const isSame = before.state === state && before.incarnation === incarnation && before.zone === zone && before.shards === shards;
    return (
      isSame &&
      before.registration === registration &&
      before.introduced === introduced &&
      before.url === url &&
      this.#silentMs(changedMs) <= this.#options.heartbeatTimeoutMs
    );
  }

  #look(): void {
    const provenMs = this.#watch?.provenMs() ?? Number.NEGATIVE_INFINITY;
    if (provenMs > this.#provenMs) {
      // Whoever could not be seen, mostly could not write either.
      const blindMs = Math.max(BLIND.leastMs, BLIND.ofTimeout * this.#options.heartbeatTimeoutMs);
      if (this.#blindLooks * LOOK_MS >= blindMs) this.#sinceMs = this.#options.world.clock.monotonicMs();
      this.#blindLooks = 0;
      this.#provenMs = provenMs;
      const alive = this.instances()
        .filter(({ isAlive }) => isAlive)
        .map(({ instance }) => instance.id)
        .join(' ');
      if (alive !== this.#alive) {
        this.#alive = alive;
        this.#tell();
      }
    } else this.#blindLooks++;
    this.#stopLooking = this.#options.world.timers.after(LOOK_MS, () => this.#look());
  }

  #tell(): void {
    this.#version++;
    this.#replicas.clear();
    this.#processes = undefined;
    for (const listener of this.#listeners) listener();
  }
}
