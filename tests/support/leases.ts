import type { Asker, Messenger } from '../../actors/kernel/define.ts';

/** What `asker` is asked, with a scheduler that gives every job to the querier that it prefers. */
export function withLeases(asker: Asker): Messenger {
  async function* lease(ask: { preferred?: string }): AsyncGenerator<{ querier: string }> {
    yield { querier: ask.preferred ?? '' };
  }
  const stream = (_protocol: unknown, _instance: string, ask: object) => lease(ask);
  return { ask: asker.ask.bind(asker), tell: () => {}, stream } as unknown as Messenger;
}
