import type { ActorDefinition } from './kernel/define.ts';

/** Whether anybody waits for an answer of this process, in any of its threads: work that nobody waits for goes by it. */
export class Activity {
  readonly #cells: Int32Array;
  readonly #own: number;
  #seen = 0;

  /** `memory`: shared by all threads, of `memoryFor` them. `thread`: the caller's number. */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#cells = new Int32Array(memory);
    this.#own = 1 + thread;
    Atomics.store(this.#cells, this.#own, 0); // a thread that died here left its count behind
  }

  static memoryFor(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + threads) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Counts as activity until what is returned is called. */
  begin(): () => void {
    Atomics.add(this.#cells, 0, 1);
    Atomics.add(this.#cells, this.#own, 1);
    return () => void Atomics.sub(this.#cells, this.#own, 1);
  }

  /** Whether there is any, or was since this was last asked. */
  busy(): boolean {
    const begun = Atomics.load(this.#cells, 0);
    const wasBusy = begun !== this.#seen;
    this.#seen = begun;
    for (let cell = 1; cell < this.#cells.length; cell++) if (Atomics.load(this.#cells, cell) > 0) return true;
    return wasBusy;
  }
}

/** The actor, whose asks count as activity while they are handled. For actors that answer with promises. */
export function countedAsActivity<A extends { kind: string }, R extends Record<A['kind'], unknown>, D>(
  definition: ActorDefinition<A, R, D>,
  activity: Activity,
): ActorDefinition<A, R, D> {
  return {
    ...definition,
    async start(deps, context) {
      const running = await definition.start(deps, context);
      type Handler = (...args: unknown[]) => Promise<unknown>;
      const counted = Object.entries(running.handlers as Record<string, Handler>).map(([kind, handle]) => {
        const handler: Handler = async (...args) => {
          const end = activity.begin();
          try {
            return await handle(...args);
          } finally {
            end();
          }
        };
        return [kind, handler];
      });
      return { ...running, handlers: Object.fromEntries(counted) };
    },
  };
}
