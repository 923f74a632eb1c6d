import { Child, type ChildOptions, type Supervised } from './child.ts';
import type { StopOrder } from './lifecycle.ts';

/** Keeps actors running, in the order in which they build on each other. */
export class Supervisor {
  readonly #options: ChildOptions;
  readonly #children: Child[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(options: ChildOptions) {
    this.#options = options;
  }

  /** Starts `subject`; returns its child at once. */
  adopt(subject: Supervised): Child {
    const child: Child = new Child(subject, this.#options, {
      changed: () => this.#settleWaiters(),
      failed: () => this.#failed(child),
      mayStart: (signal) => this.#until(() => this.#mayStart(child), signal),
      until: (condition) => this.#until(condition),
    });
    this.#children.push(child);
    child.begin();
    return child;
  }

  /** Stops `child` for good and forgets it. Rejects if it did not end in time. */
  async stop(child: Child, order: StopOrder): Promise<void> {
    await child.stop(order).finally(() => {
      const at = this.#children.indexOf(child);
      if (at >= 0) this.#children.splice(at, 1);
      this.#settleWaiters();
    });
  }

  /** A child of rest_for_one failed: those after it stop, last first, and start after it, in order. */
  #failed(child: Child): void {
    if (child.subject.restart.strategy !== 'rest_for_one') return;
    const followers = this.#children.slice(this.#children.indexOf(child) + 1);
    child.waitsForFollowers = true;
    for (const follower of followers) follower.yieldTo(child, (a, b) => this.#children.indexOf(a) < this.#children.indexOf(b));
    void this.#stopInReverse(followers);
  }

  async #stopInReverse(followers: Child[]): Promise<void> {
    for (const follower of followers.reverse()) {
      follower.restart();
      await this.#until(() => !follower.holdsAnything);
    }
  }

  #mayStart(child: Child): boolean {
    const at = this.#children.indexOf(child);
    if (child.waitsForFollowers && this.#children.slice(at + 1).some((follower) => follower.holdsAnything)) return false;
    if (child.yieldedTo === undefined) return true;
    const from = this.#children.indexOf(child.yieldedTo);
    return this.#children.slice(Math.max(0, from), at).every(({ state }) => state === 'running');
  }

  /** Resolves once `condition` holds; looked at whenever a child changes its state. */
  #until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (signal?.aborted) reject(signal.reason);
        else if (condition()) resolve();
        else return;
        this.#waiters.delete(look);
      };
      this.#waiters.add(look);
      look();
    });
  }

  #settleWaiters(): void {
    for (const look of this.#waiters) look();
  }
}
