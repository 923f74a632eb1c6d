import type { MemoryBudget } from '../logql/engine/memory-budget.ts';
import { MiB } from '../ops/base/bytes.ts';
import { collectGarbage } from '../ops/base/collect-garbage.ts';

/** What a piece of work left behind that is collected at once: V8 would let several times as much gather. */
const LARGE_BYTES = 32 * MiB;

/** Ends the budget of work that is done. */
export function release(memory: MemoryBudget): void {
  memory.close();
  if (memory.mostBytes > LARGE_BYTES) collectGarbage();
}
