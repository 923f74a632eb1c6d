import assert from 'node:assert/strict';
import test from 'node:test';
import type { Files } from '../../ops/base/world.ts';
import { fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { CRASH_MODES, type CrashMode, PowerCutFiles, withoutSync } from '../support/power-cut-files.ts';
import { type Entry, SingleStore } from '../support/single-store.ts';

const SHARDS = 2;
const HOUR_NS = 3_600_000_000_000n;
const START_NS = 482_120n * HOUR_NS;

/** Some streams, some shared by all pushes, times out of order and across an hour, a duplicate now and then. */
function pushes(): Entry[][] {
  const random = seededRandom(7);
  return Array.from({ length: 6 }, (_, push) =>
    Array.from({ length: 4 }, (_, item) => ({
      labels: { app: item % 2 === 0 ? 'shared' : `own-${push}` },
      timeNs: START_NS + HOUR_NS - 50_000_000n + BigInt(Math.floor(random.next() * 100)) * 1_000_000n,
      line: `push ${push} item ${item}`,
    })),
  );
}

interface Run {
  readonly acknowledged: Set<string>;
  readonly sent: Set<string>;
}

/** Pushes, flushes (which trims) and pushes again, until done or until the power goes; then nothing of it matters any more. */
async function work(files: Files, run: Run, gone: () => boolean): Promise<void> {
  const world = fakeWorld(1, files);
  const store = await SingleStore.boot(world, { shards: SHARDS });
  await until(() => store.ready(), gone);
  const push = async (entries: Entry[]): Promise<void> => {
    for (const { line } of entries) run.sent.add(line);
    const { fault } = await store.push(entries);
    if (fault === undefined) for (const { line } of entries) run.acknowledged.add(line);
  };
  const [first, second, third, fourth, fifth, sixth] = pushes();
  await Promise.all([push(first), push(second)]);
  await push(third);
  await store.flush();
  // Sent again, as a client in doubt does: it must not count twice.
  await Promise.all([push(fourth), push(first)]);
  await Promise.all([store.flush(), push(fifth)]);
  await push(sixth);
  await store.flush();
  await store.system.stop();
}

async function until(condition: () => Promise<boolean>, gone: () => boolean): Promise<void> {
  while (!gone() && !(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs `work` until the power cut at step `stopAt`; resolves also if asks hang for ever because their files are gone. */
async function workUntilCut(files: PowerCutFiles, view: Files, stopAt: number): Promise<Run> {
  const run: Run = { acknowledged: new Set(), sent: new Set() };
  files.stopAt = stopAt;
  const gone = () => files.steps >= stopAt;
  let done = false;
  const finish = () => {
    done = true;
  };
  work(view, run, gone).then(finish, finish);
  let turnsAfter = 0;
  while (!done && turnsAfter < 20) {
    await new Promise((resolve) => setImmediate(resolve));
    if (gone()) turnsAfter++;
  }
  return run;
}

/** What a start over `files` finds wrong: acknowledged entries that are missing, entries found twice or never sent, counts that differ. */
async function problems(files: Files, { acknowledged, sent }: Run): Promise<string[]> {
  const store = await SingleStore.boot(fakeWorld(2, files), { shards: SHARDS });
  await until(
    () => store.ready(),
    () => false,
  );
  const check = async (when: string): Promise<string[]> => {
    const found = await store.lines('{app=~".+"}');
    const distinct = new Set(found);
    const count = await store.count('{app=~".+"}');
    return [
      ...[...acknowledged].filter((line) => !distinct.has(line)).map((line) => `${when}: lost: ${line}`),
      ...(found.length === distinct.size ? [] : [`${when}: ${found.length - distinct.size} entries found twice`]),
      ...[...distinct].filter((line) => !sent.has(line)).map((line) => `${when}: never sent: ${line}`),
      ...(count === found.length ? [] : [`${when}: counted ${count}, found ${found.length}`]),
    ];
  };
  const before = await check('after the start');
  await store.flush();
  const after = await check('after a flush');
  await store.system.stop();
  return [...before, ...after];
}

async function stepsOf(): Promise<number> {
  const files = new PowerCutFiles();
  const run = await workUntilCut(files, files, Number.POSITIVE_INFINITY);
  assert.equal(run.acknowledged.size, 24);
  assert.deepEqual(await problems(files, run), []);
  return files.steps;
}

/** Stops at each of `steps` and starts again in each of `modes`; the first failures, as text. */
async function failures(steps: number, modes: readonly CrashMode[], view: (files: PowerCutFiles) => Files): Promise<string[]> {
  const failed: string[] = [];
  for (let step = 0; step < steps && failed.length < 5; step++) {
    for (const mode of modes) {
      const files = new PowerCutFiles();
      const run = await workUntilCut(files, view(files), step);
      const wrong = await problems(files.crash(mode, seededRandom(step)), run);
      if (wrong.length > 0) failed.push(`step ${step}, ${mode}: ${wrong.join('; ')}`);
    }
  }
  return failed;
}

test('the power may go at any step of append, flush and trim: what was acknowledged is found exactly once', async () => {
  assert.deepEqual(await failures(await stepsOf(), CRASH_MODES, (files) => files), []);
});

for (const what of ['data', 'names'] as const) {
  test(`without the sync of ${what} that check fails`, async () => {
    const failed = await failures(await stepsOf(), ['nothing'], (files) => withoutSync(files, what));
    assert.ok(failed.length > 0);
  });
}
