import type { Random } from '../../ops/base/world.ts';

/** What a simulation decides by chance; all of it follows from its random numbers. */
export class Dice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  chance(ratio: number): boolean {
    return this.#random.next() < ratio;
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}
