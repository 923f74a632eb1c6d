import { lowerBound } from '../../ops/base/search.ts';
import type { Instance, TokenSet } from './instance.ts';

/** Which instance's token is next to which hash. */
export class Placement {
  /** Ascending, and whose each is. */
  readonly #tokens: Float64Array;
  readonly #owners: readonly string[];

  constructor(sets: Iterable<TokenSet>) {
    const owned: { token: number; set: string; owner: string }[] = [];
    for (const { id: set, owner, tokens } of sets) for (const token of tokens) owned.push({ token, set, owner });
    // A token that is in two sets is a matter of chance: all see it in the same one.
    owned.sort((a, b) => a.token - b.token || (a.set < b.set ? -1 : 1));
    this.#tokens = Float64Array.from(owned, ({ token }) => token);
    this.#owners = owned.map(({ owner }) => owner);
  }

  /** The place of the token next to a hash, which is unsigned 32-bit. All hashes with one place have the same replicas. */
  firstAt(hash: number): number {
    const { length } = this.#tokens;
    return length === 0 ? 0 : lowerBound(this.#tokens, 0, length, hash + 1) % length;
  }

  /** The owners of the tokens from a place on, around the ring. */
  *ownersFrom(first: number): Generator<string, void, void> {
    const told = new Set<string>();
    const { length } = this.#tokens;
    for (let step = 0; step < length; step++) {
      const id = this.#owners[(first + step) % length];
      if (told.has(id)) continue;
      told.add(id);
      yield id;
    }
  }

  /** Up to `count` instances in zones of their own, the owners of the tokens from a place on, around the ring. `eligible`: the instance of this id, if it may be chosen. */
  replicas(first: number, count: number, eligible: (id: string) => Instance | undefined): Instance[] {
    const chosen: Instance[] = [];
    const zones = new Set<string>();
    for (const id of this.ownersFrom(first)) {
      if (chosen.length === count) break;
      const instance = eligible(id);
      if (instance === undefined || zones.has(instance.zone)) continue;
      zones.add(instance.zone);
      chosen.push(instance);
    }
    return chosen;
  }
}

/** How many of `replicationFactor` copies make a write durable. */
export function quorumOf(replicationFactor: number): number {
  return Math.floor(replicationFactor / 2) + 1;
}

/** The hash by which a stream is placed: `streamHash` is 16 hex digits, of its labels; streams of tenants with equal labels are not to lie together. */
export function placementHash(tenant: string, streamHash: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < tenant.length; at++) hash = Math.imul(hash ^ tenant.charCodeAt(at), 0x01000193);
  hash ^= Number.parseInt(streamHash.slice(0, 8), 16);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash ^= Number.parseInt(streamHash.slice(8, 16), 16);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
