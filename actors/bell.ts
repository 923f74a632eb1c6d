/** Wakes the one who waits for something to have happened; a ring that nobody waits for is remembered. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves once it was rung since the last time. Rejects with the signal's reason when that is aborted first. One at a time may wait. */
  rung(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (!this.#rung && !signal.aborted) return;
        this.#wake = undefined;
        signal.removeEventListener('abort', settle);
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        this.#rung = false;
        resolve();
      };
      this.#wake = settle;
      signal.addEventListener('abort', settle);
      settle();
    });
  }
}
