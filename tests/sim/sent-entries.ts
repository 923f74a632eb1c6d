import type { Dice } from '../support/dice.ts';
import type { BufferStats, Entry } from '../support/single-store.ts';

const MS_NS = 1_000_000n;
export const HOUR_NS = 3_600_000n * MS_NS;
export const START_NS = 482_120n * HOUR_NS;

/** The entries that a simulation pushes, each with a line of its own. */
export class SentEntries {
  /** By line. */
  readonly sent = new Map<string, Entry>();
  readonly acknowledged = new Map<string, Entry>();
  readonly #acknowledgedMs = new Map<string, number>();
  #made = 0;

  acknowledge(entry: Entry, nowMs: number): void {
    this.acknowledged.set(entry.line, entry);
    if (!this.#acknowledgedMs.has(entry.line)) this.#acknowledgedMs.set(entry.line, nowMs);
  }

  /** Whether an answer has to have a line that was acknowledged before the question, by what it says of Kafka. */
  isKnown(line: string, buffer: BufferStats | undefined): boolean {
    if (buffer === undefined) return true;
    return buffer.unreadPartitions === 0 && (this.#acknowledgedMs.get(line) ?? 0) < Date.parse(buffer.watermark);
  }

  /** Of some streams and hours, out of order; now and then one that was sent before. */
  newPush(dice: Dice): Entry[] {
    return Array.from({ length: 1 + dice.below(5) }, () => {
      if (this.sent.size > 0 && dice.chance(0.1)) return dice.pick([...this.sent.values()]);
      const app = dice.chance(0.6) ? `shared-${dice.below(3)}` : `own-${dice.below(12)}`;
      const offsetNs = BigInt(dice.below(3)) * HOUR_NS + BigInt(dice.below(150)) * MS_NS;
      return { labels: { app }, timeNs: START_NS + offsetNs, line: `entry ${this.#made++} ${'x'.repeat(dice.below(80))}` };
    });
  }
}
