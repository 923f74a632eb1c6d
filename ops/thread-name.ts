/** What the thread of this index is called in logs, metrics and lists: those below `workers` have a shard each, the one behind them compacts. */
export function threadName(index: number, workers: number): string {
  return index < workers ? `worker-${index}` : 'compactor';
}
