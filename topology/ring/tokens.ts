import { Fault } from '../../ops/base/fault.ts';
import { isTokensKey, readTokenSet, type TokenSet, tokensKey } from './instance.ts';
import type { Kv, KvEntry } from './kv.ts';

export interface StoredTokens {
  readonly key: string;
  /** As it is in the store. */
  readonly text: string;
  readonly revision: number;
  readonly set: TokenSet;
}

/** What the instance owns: its own set, and those that others left it. As the store is asked, not as a ring sees it: while that is away this waits. */
export async function tokensOf(kv: Kv, owner: string, signal?: AbortSignal): Promise<StoredTokens[]> {
  const entries = new Map<string, KvEntry>();
  const watch = await kv.watch((entry) => entries.set(entry.key, entry), signal);
  watch.close();
  return [...entries.values()].flatMap(({ key, value: text, revision }) => {
    const set = text === undefined || !isTokensKey(key) ? undefined : readTokenSet(text);
    return text === undefined || set?.owner !== owner ? [] : [{ key, text, revision, set }];
  });
}

/** Makes sure that the instance owns a set that is named after it: the one that it had, or a new one. A set of its name may be another's since it left once: then it takes the next name. Throws
 *  Fault unavailable if others change it at the same time. */
export async function claimTokens(kv: Kv, owner: string, makeTokens: () => number[]): Promise<void> {
  for (let number = 1; ; number++) {
    const id = number === 1 ? owner : `${owner}/${number}`;
    const key = tokensKey(id);
    const found = await kv.get(key);
    const set = found?.value === undefined ? undefined : readTokenSet(found.value);
    if (set !== undefined && set.owner !== owner) continue;
    if (set !== undefined && set.tokens.length > 0) return;
    const claimed: TokenSet = { id, owner, epoch: (set?.epoch ?? 0) + 1, tokens: makeTokens() };
    const revision = await kv.put(key, JSON.stringify(claimed), found?.revision ?? 0);
    if (revision === undefined) throw new Fault('unavailable', `the tokens of ${owner} were changed meanwhile`);
    return;
  }
}

/** Gives all that `from` owns to `to`, each set by one compare-and-set. To be called again if it was in doubt. Throws Fault unavailable if others change them at the same time. */
export async function moveTokens(kv: Kv, from: string, to: string, signal?: AbortSignal): Promise<void> {
  for (const { key, revision, set } of await tokensOf(kv, from, signal)) {
    const moved: TokenSet = { ...set, owner: to, epoch: set.epoch + 1 };
    if ((await kv.put(key, JSON.stringify(moved), revision)) === undefined)
      throw new Fault('unavailable', `the tokens of ${from} were changed meanwhile`);
  }
}
