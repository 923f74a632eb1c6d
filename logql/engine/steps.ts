/** Long work that stops every so often; whoever runs it decides whether others go on in between. The engine has no clock. */
export type Steps<T> = Generator<void, T, void>;

/** Items that are worked on between two stops: objects, and numbers in a column. */
export const STEP_ITEMS = 512;
export const STEP_NUMBERS = 65_536;

/** Runs the work to its end. */
export function finish<T>(work: Steps<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Runs the work to its end; `giveWay` is awaited at each stop, and may throw. */
export async function finishInTurns<T>(work: Steps<T>, giveWay: () => Promise<void>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await giveWay();
  }
}

/** `items` in the order of `compare`, as a stable sort has them. */
export function* sorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Steps<T[]> {
  let runs: T[][] = [];
  for (let at = 0; at < items.length; at += STEP_ITEMS) {
    runs.push(items.slice(at, at + STEP_ITEMS).sort(compare));
    yield;
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(at + 1 < runs.length ? yield* mergeRuns(runs[at], runs[at + 1], compare) : runs[at]);
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeRuns<T>(one: readonly T[], other: readonly T[], compare: (a: T, b: T) => number): Steps<T[]> {
  if (compare(one[one.length - 1], other[0]) <= 0) return one.concat(other);
  const out: T[] = [];
  let [a, b] = [0, 0];
  while (a < one.length && b < other.length) {
    out.push(compare(other[b], one[a]) < 0 ? other[b++] : one[a++]);
    if (out.length % (STEP_ITEMS * 8) === 0) yield;
  }
  while (a < one.length) out.push(one[a++]);
  while (b < other.length) out.push(other[b++]);
  return out;
}
