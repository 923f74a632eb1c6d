import type { Files } from '../../ops/base/world.ts';
import { FAKE_START_MS, type FakeWorld, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { type CrashMode, PowerCutFiles } from '../support/power-cut-files.ts';
import { type Entry, SingleStore, type SingleStoreOptions } from '../support/single-store.ts';

const HOUR_NS = 3_600_000_000_000n;
const START_NS = 482_120n * HOUR_NS;

/** Some streams, some shared by all pushes, times out of order and across an hour, a duplicate now and then. */
export function pushes(): Entry[][] {
  const random = seededRandom(7);
  return Array.from({ length: 6 }, (_, push) =>
    Array.from({ length: 4 }, (_, item) => ({
      labels: { app: item % 2 === 0 ? 'shared' : `own-${push}` },
      timeNs: START_NS + HOUR_NS - 50_000_000n + BigInt(Math.floor(random.next() * 100)) * 1_000_000n,
      line: `push ${push} item ${item}`,
    })),
  );
}

/** What a run may do. */
export interface Life {
  readonly world: FakeWorld;
  readonly store: SingleStore;
  /** Takes note of what was sent and of what was acknowledged. */
  push(entries: readonly Entry[]): Promise<void>;
}

/** A run of the shipped actors that the power may end, and what is to be found wrong after it. */
export interface Scenario {
  readonly options: SingleStoreOptions;
  /** What the clock shows at first. */
  readonly startMs?: number;
  work(life: Life): Promise<void>;
  /** What is done after the next start, between two looks at everything. */
  after(life: Life): Promise<void>;
}

interface Run {
  readonly acknowledged: Set<string>;
  readonly sent: Set<string>;
}

/** How many operations on files the run takes without a power cut, and how many entries are acknowledged; what is wrong after it. */
export async function undisturbed(scenario: Scenario): Promise<{ steps: number; acknowledged: number; wrong: string[] }> {
  const files = new PowerCutFiles();
  const run = await workUntilCut(scenario, files, files, Number.POSITIVE_INFINITY);
  const { steps } = files;
  return { steps, acknowledged: run.acknowledged.size, wrong: await problems(scenario, files, run) };
}

/** Stops at each of `steps` and starts again in each of the modes that are given for it; the first failures, as text. */
export async function failures(
  scenario: Scenario,
  steps: Iterable<number>,
  modesOf: (step: number) => readonly CrashMode[],
  view: (files: PowerCutFiles) => Files = (files) => files,
): Promise<string[]> {
  const failed: string[] = [];
  for (const step of steps) {
    for (const mode of modesOf(step)) {
      const files = new PowerCutFiles();
      const run = await workUntilCut(scenario, files, view(files), step);
      // A store that does not start at all is as wrong.
      const wrong = await problems(scenario, files.crash(mode, seededRandom(step)), run).catch((error) => [String(error)]);
      if (wrong.length > 0) failed.push(`step ${step}, ${mode}: ${wrong.join('; ')}`);
    }
    if (failed.length >= 5) break;
  }
  return failed;
}

/** Until done or until the power goes; then nothing of it matters any more. Resolves also if asks hang for ever because their files are gone. */
async function workUntilCut(scenario: Scenario, files: PowerCutFiles, view: Files, stopAt: number): Promise<Run> {
  const run: Run = { acknowledged: new Set(), sent: new Set() };
  files.stopAt = stopAt;
  const gone = () => files.steps >= stopAt;
  let done = false;
  const finish = () => {
    done = true;
  };
  const life = async (): Promise<void> => {
    const one = await start(scenario, files, view, run, gone);
    await scenario.work(one);
    await one.store.system.stop();
  };
  life().then(finish, finish);
  let turnsAfter = 0;
  while (!done && turnsAfter < 20) {
    await new Promise((resolve) => setImmediate(resolve));
    if (gone()) turnsAfter++;
  }
  return run;
}

async function start(
  { options, startMs: firstMs = FAKE_START_MS }: Scenario,
  files: PowerCutFiles,
  view: Files,
  run: Run,
  gone: () => boolean,
): Promise<Life> {
  const before = files.clock;
  const world = before === undefined ? fakeWorld(1, view, firstMs) : fakeWorld(2, view, before.nowMs() + 1_000);
  files.clock = world.clock;
  const store = await SingleStore.boot(world, options);
  while (!gone() && !(await store.ready())) await new Promise((resolve) => setImmediate(resolve));
  return {
    world,
    store,
    push: async (entries) => {
      for (const { line } of entries) run.sent.add(line);
      const { fault } = await store.push(entries);
      if (fault === undefined) for (const { line } of entries) run.acknowledged.add(line);
    },
  };
}

/** What a start over `files` finds wrong: acknowledged entries that are missing, entries found twice or never sent, counts that differ. */
async function problems(scenario: Scenario, files: PowerCutFiles, run: Run): Promise<string[]> {
  const { acknowledged, sent } = run;
  const life = await start(scenario, files, files, run, () => false);
  const { store } = life;
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
  await scenario.after(life);
  const after = await check('in the end');
  await store.system.stop();
  return [...before, ...after];
}
