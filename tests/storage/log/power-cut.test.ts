import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noInstruments } from '../../../ops/base/instruments.ts';
import type { Files } from '../../../ops/base/world.ts';
import { fakeWorld, seededRandom } from '../../../ops/base/world-fake.ts';
import type { Position } from '../../../storage/log/ingest-log.ts';
import { type LocalLog, openLocalLog } from '../../../storage/log/local.ts';
import { createLocalLog, listLocalLogs, removeLocalLog } from '../../../storage/log/local-logs.ts';
import { numbers } from '../../support/checks.ts';
import { itemsIn } from '../../support/log-suite.ts';
import { CRASH_MODES, type CrashMode, PowerCutFiles, withoutSync } from '../../support/power-cut-files.ts';

const ROOT = '/data/wal';

/** What the clients of a log know when the power goes. */
class Ledger {
  readonly acknowledged = new Map<Position, string>();
  readonly attempted = new Set<string>();
  /** The highest end that anybody was told. */
  end: Position = 0;
  trimmedTo: Position = 0;

  /** Appends `count` records at once, each with bytes of its own; a refused one may be tried by nobody again. */
  async append(log: LocalLog, count: number): Promise<void> {
    const appends = numbers(count).map(async () => {
      const text = `record ${this.attempted.size} `;
      this.attempted.add(text);
      const position = await log.append([Buffer.from(text), Buffer.alloc((this.attempted.size * 97) % 700, text)]);
      assert.ok(!this.acknowledged.has(position), `position ${position} was given out twice`);
      assert.ok(position >= this.end, `position ${position} is below the end ${this.end} that was told`);
      this.acknowledged.set(position, text);
    });
    for (const result of await Promise.allSettled(appends)) if (result.status === 'rejected') rethrowCheck(result.reason);
    this.end = Math.max(this.end, log.end);
  }

  async trim(log: LocalLog, upTo: Position): Promise<void> {
    this.trimmedTo = upTo;
    await log.trim(upTo);
  }

  /** Every acknowledged record that was not trimmed is there exactly once, in order and whole; whatever else is there was appended, once. */
  async check(log: LocalLog): Promise<void> {
    assert.ok(log.end >= this.end, `the log ends at ${log.end}, but ${this.end} was told`);
    const found = new Map<Position, string>();
    let expected: Position | undefined;
    for (const item of await itemsIn(log)) {
      if (item.kind === 'gap') {
        assert.ok(item.doubtful, `records [${item.from}, ${item.to}) reported as lost`);
        expected = item.to;
        continue;
      }
      expected ??= item.position;
      assert.equal(item.position, expected++);
      const text = /^record \d+ /.exec(item.bytes.toString('latin1'))?.[0] ?? '';
      assert.ok(this.attempted.has(text), `record ${item.position} was never appended`);
      assert.ok(
        item.bytes.subarray(text.length).equals(Buffer.alloc(item.bytes.length - text.length, text)),
        `record ${item.position} is damaged`,
      );
      found.set(item.position, text);
    }
    assert.equal(new Set(found.values()).size, found.size, 'a record is there twice');
    for (const [position, text] of this.acknowledged) {
      if (position < this.trimmedTo && !found.has(position)) continue;
      assert.equal(found.get(position), text, `acknowledged record ${position} is not there`);
    }
    this.end = log.end;
  }
}

async function open(files: Files): Promise<LocalLog> {
  const world = fakeWorld(1, files);
  const place = (await listLocalLogs(files, ROOT))[0] ?? (await createLocalLog(world, ROOT, 0));
  return openLocalLog({ ...place, world, instruments: noInstruments, segmentBytes: 2048, maxRecordBytes: 4096 });
}

/** Appends, rolls, trims, reopens. Ends early, without an error, when the power goes. */
async function run(files: Files, ledger: Ledger): Promise<void> {
  try {
    const log = await open(files);
    await ledger.append(log, 1);
    await ledger.append(log, 5);
    await ledger.append(log, 7);
    await ledger.trim(log, 4);
    await ledger.append(log, 3);
    await log.close();
    const again = await open(files);
    ledger.end = Math.max(ledger.end, again.end);
    await ledger.append(again, 4);
    await ledger.trim(again, 15);
    await ledger.append(again, 2);
    await again.close();
  } catch (error) {
    rethrowCheck(error);
  }
}

/** The power cut ends a run as it pleases; only a failed check counts. */
function rethrowCheck(error: unknown): void {
  if (error instanceof assert.AssertionError) throw error;
}

async function freshFiles(): Promise<PowerCutFiles> {
  const files = new PowerCutFiles();
  await files.makeDirectory('/data');
  await files.syncDirectory('/');
  files.steps = 0;
  return files;
}

async function stepsOf(script: (files: PowerCutFiles) => Promise<void>): Promise<number> {
  const files = await freshFiles();
  await script(files);
  return files.steps;
}

/** Stops the run at step `stopAt`, then checks what survived, appends some more, stops again and checks again. */
async function crashAt(
  stopAt: number,
  modes: readonly [CrashMode, CrashMode],
  seed: number,
  view: (files: PowerCutFiles) => Files,
): Promise<void> {
  const random = seededRandom(seed);
  const ledger = new Ledger();
  const files = await freshFiles();
  files.stopAt = stopAt;
  await run(view(files), ledger);

  const survived = files.crash(modes[0], random);
  const log = await open(view(survived));
  await ledger.check(log);
  if (seed % 2 === 0) await ledger.append(log, 3); // otherwise what was read must survive as it is

  const again = await open(view(survived.crash(modes[1], random)));
  await ledger.check(again);
  await ledger.append(again, 2);
  await ledger.check(again);
  await again.close();
}

for (const first of CRASH_MODES) {
  test(`no acknowledged record is lost when the run stops at any step: ${first}`, async () => {
    const steps = await stepsOf((files) => run(files, new Ledger()));
    assert.ok(steps > 60);
    for (const stopAt of numbers(steps + 1)) {
      for (const second of CRASH_MODES) {
        for (const seed of [2 * stopAt, 2 * stopAt + 1]) {
          await crashAt(stopAt, [first, second], seed, (files) => files).catch((error) => {
            throw new Error(`step ${stopAt}, then ${second}, seed ${seed}: ${error.message}`, { cause: error });
          });
        }
      }
    }
  });
}

for (const what of ['data', 'names'] as const) {
  test(`the check above notices when ${what} are not synced`, async () => {
    const steps = await stepsOf((files) => run(withoutSync(files, what), new Ledger()));
    let failures = 0;
    for (const stopAt of numbers(steps + 1)) {
      await crashAt(stopAt, ['nothing', 'nothing'], stopAt, (files) => withoutSync(files, what)).catch((error) => {
        assert.ok(error instanceof assert.AssertionError, error);
        failures++;
      });
    }
    assert.ok(failures > steps / 2, `noticed at ${failures} of ${steps} steps`);
  });
}

test('no acknowledged record is lost when a sync fails and the power goes later', async () => {
  const script = async (files: PowerCutFiles, ledger: Ledger): Promise<void> => {
    const log = await open(files);
    await ledger.append(log, 3);
    await ledger.append(log, 3);
    await ledger.append(log, 2);
    await log.close();
  };
  const steps = await stepsOf((files) => script(files, new Ledger()));
  for (const goodSyncs of numbers(5)) {
    for (const stopAt of numbers(steps + 8)) {
      for (const mode of CRASH_MODES) {
        const ledger = new Ledger();
        const files = await freshFiles();
        files.goodSyncs = goodSyncs;
        files.stopAt = stopAt;
        await script(files, ledger).catch(rethrowCheck);
        await ledger.check(await open(files.crash(mode, seededRandom(stopAt))));
      }
    }
  }
});

test('no acknowledged record is lost when the disk fills up, the process is killed and then the power goes', async () => {
  const script = async (files: PowerCutFiles, ledger: Ledger, quotaBytes: number): Promise<void> => {
    const log = await open(files);
    await ledger.append(log, 2);
    files.quotaBytes = quotaBytes;
    await ledger.append(log, 4);
    files.quotaBytes = 100; // a file header, but no record
    await ledger.append(log, 4);
    await ledger.append(log, 1);
    files.quotaBytes = Number.POSITIVE_INFINITY;
    await ledger.append(log, 2);
    await log.close();
  };
  for (const quotaBytes of [0, 40, 400, 900, 1_500]) {
    const steps = await stepsOf((files) => script(files, new Ledger(), quotaBytes));
    for (const stopAt of numbers(steps + 1)) {
      for (const [number, mode] of CRASH_MODES.entries()) {
        const ledger = new Ledger();
        const random = seededRandom(stopAt * CRASH_MODES.length + number);
        const files = await freshFiles();
        files.stopAt = stopAt;
        await script(files, ledger, quotaBytes).catch(rethrowCheck);
        const killed = files.crash('killed', random);
        await ledger.check(await open(killed));
        await ledger.check(await open(killed.crash(mode, random)));
      }
    }
  }
});

test('a log that is removed is gone for good, and whatever a stop leaves of it can be removed again', async () => {
  const written = async (): Promise<PowerCutFiles> => {
    const files = await freshFiles();
    const log = await open(files);
    await new Ledger().append(log, 12);
    await log.close();
    files.steps = 0;
    return files;
  };
  const remove = async (files: PowerCutFiles): Promise<void> => {
    for (const place of await listLocalLogs(files, ROOT)) await removeLocalLog(files, place);
  };
  const whole = await written();
  await remove(whole);
  for (const stopAt of numbers(whole.steps + 1)) {
    for (const mode of CRASH_MODES) {
      const files = await written();
      files.stopAt = stopAt;
      await remove(files).catch(rethrowCheck);
      const survived = files.crash(mode, seededRandom(stopAt));
      for (const place of await listLocalLogs(survived, ROOT)) {
        assert.ok(stopAt < whole.steps, 'the log is back after its removal');
        const log = await openLocalLog({
          ...place,
          world: fakeWorld(1, survived),
          instruments: noInstruments,
          segmentBytes: 2048,
          maxRecordBytes: 4096,
          floor: 12,
        });
        assert.equal(log.end, 12);
        assert.deepEqual(await itemsIn(log, 12), []);
        await log.close();
      }
      await remove(survived);
      assert.deepEqual(await listLocalLogs(survived, ROOT), []);
    }
  }
});
