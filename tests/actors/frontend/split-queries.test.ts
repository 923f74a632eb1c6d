import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FrontendAsk, frontendProtocol } from '../../../actors/protocol/query.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';
import { SingleStore } from '../../support/single-store.ts';

const MINUTE_NS = 60_000_000_000n;
const HOUR_MS = 3_600_000;
/** A multiple of two hours. */
const START_NS = 482_120n * 60n * MINUTE_NS;
/** Minutes after START_NS, of an entry each. */
const ENTRIES = Array.from({ length: 14 }, (_, index) => BigInt(10 * index));

type RangeAsk = Extract<FrontendAsk, { kind: 'range' }>;

/** The minutes after START_NS of what the answer holds. */
async function minutesOf(splitQueriesByInterval: number, ask: Partial<RangeAsk> & { from: bigint; to: bigint }): Promise<number[]> {
  const { from, to, ...more } = ask;
  const world = fakeWorld(1, new PowerCutFiles());
  const store = await SingleStore.boot(world, { shards: 2, limits: { splitQueriesByInterval } });
  while (!(await store.ready())) await world.settle();
  await store.push(ENTRIES.map((minute) => ({ labels: { app: 'a' }, timeNs: START_NS + minute * MINUTE_NS, line: 'x' })));
  const whole: RangeAsk = {
    kind: 'range',
    query: '{app="a"}',
    startNs: START_NS + from * MINUTE_NS,
    endNs: START_NS + to * MINUTE_NS,
    stepNs: Number(30n * MINUTE_NS),
    intervalNs: 0,
    limit: 100,
    direction: 'forward',
    categorize: false,
    ...more,
  };
  const { body } = await store.system.ask(frontendProtocol, '0', whole, { tenant: 'fake', deadlineMs: Number.POSITIVE_INFINITY });
  await store.system.stop();
  const { data } = JSON.parse(Buffer.concat(body).toString());
  const nanoseconds = (time: number | string): bigint => (typeof time === 'string' ? BigInt(time) : BigInt(time) * 1_000_000_000n);
  return data.result.flatMap(({ values }: { values: [number | string][] }) => {
    return values.map(([time]) => Number((nanoseconds(time) - START_NS) / MINUTE_NS));
  });
}

const metric = { query: 'count_over_time({app="a"}[10m])', from: 7n, to: 67n };
const log = { intervalNs: Number(40n * MINUTE_NS), from: 0n, to: 130n };
/** All as a Loki answers with these settings. */
const cases: [what: string, splitMs: number, ask: Parameters<typeof minutesOf>[1], minutes: number[]][] = [
  ['by an hour: steps are multiples of the step', HOUR_MS, metric, [0, 30, 60, 90]],
  ['by less than the step: the same', 60_000, metric, [0, 30, 60, 90]],
  ['not at all: steps begin at the start', 0, metric, [7, 37, 67]],
  ['by an hour: the interval begins anew every hour', HOUR_MS, log, [0, 40, 60, 100, 120]],
  ['by two hours: every two', 2 * HOUR_MS, log, [0, 40, 80, 120]],
  ['not at all: the interval begins once', 0, { ...log, to: 140n }, [0, 40, 80, 120]],
  ['by an hour, backward: from the end of each', HOUR_MS, { ...log, direction: 'backward' }, [120, 110, 70, 50, 10]],
  ['not at all, backward: from the end', 0, { ...log, direction: 'backward' }, [120, 80, 40, 0]],
  ['by two hours, backward: from the end of each two', 2 * HOUR_MS, { ...log, direction: 'backward' }, [120, 110, 70, 30]],
  ['by less than the interval: every piece begins anew', 60_000, { ...log, to: 50n }, [0, 10, 20, 30, 40]],
  ['by an hour, with a limit, which counts what the interval leaves out', HOUR_MS, { ...log, limit: 3 }, [0, 60, 120]],
  ['not at all, with a limit', 0, { ...log, limit: 3 }, [0]],
  ['by an hour without an interval: one piece', HOUR_MS, { from: 50n, to: 80n }, [50, 60, 70]],
];
for (const [what, splitMs, ask, minutes] of cases) {
  test(`queries are split ${what}`, async () => assert.deepEqual(await minutesOf(splitMs, ask), minutes));
}
