import { seededRandom } from '../../ops/base/world-fake.ts';
import { Dice } from './dice.ts';
import { DATA_START_NS, type LaidPush } from './layouts.ts';

export const FAR = { startNs: 0n, endNs: 4n * 10n ** 18n };
const SECOND_NS = 1_000_000_000n;

/** What questions about the pushes are made of. */
export function choices(seed: number, pushes: readonly LaidPush[]) {
  const dice = new Dice(seededRandom(seed));
  const below = (limit: number): number => dice.below(limit);
  const pick = <T>(from: readonly T[]): T => dice.pick(from);
  const entries = pushes.flat();
  /** At an entry, beside one, or anywhere. */
  const time = (): bigint =>
    pick([pick(entries).timeNs, pick(entries).timeNs + pick([-1n, 1n]), DATA_START_NS + BigInt(below(10_800)) * SECOND_NS]);
  const extent = () => {
    const [one, other] = [time(), time()];
    return pick([FAR, one < other ? { startNs: one, endNs: other } : { startNs: other, endNs: one }]);
  };
  return { below, pick, time, extent };
}
