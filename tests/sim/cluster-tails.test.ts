import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bufferedIngesters, ringIngesters } from '../../actors/ingesters.ts';
import { FAKE_START_MS, fakeWorld, seededRandom } from '../../ops/base/world-fake.ts';
import { MemoryKv } from '../../topology/ring/kv.ts';
import { numbers } from '../support/checks.ts';
import { Dice } from '../support/dice.ts';
import { FakeBus } from '../support/fake-broker.ts';
import { OpenTail } from '../support/open-tail.ts';
import { PowerCutFiles } from '../support/power-cut-files.ts';
import type { Entry } from '../support/single-store.ts';
import { ClusterProcess } from './cluster-process.ts';
import { KafkaSide } from './kafka-side.ts';

const SEEDS = Number(process.env.SEEDS ?? 8);
const FIRST = Number(process.env.SEED ?? 1);
const MS = 1_000_000n;
const NOW = BigInt(FAKE_START_MS) * MS;
const TAILED = 'a';
const OTHERS = ['b', 'c'];
const STEPS = 120;
const CALM = { withinMs: 600_000 };

/** Three processes, of which one at a time is killed, stopped, cut off, or has an actor that fails; tails at one that lives on, begun at any moment: each that goes on shows
 *  every acknowledged entry once. */
const runs = [false, true].flatMap((isBuffered) =>
  numbers(isBuffered ? Math.ceil(SEEDS / 2) : SEEDS).map((number) => ({ seed: FIRST + number, isBuffered })),
);
for (const { seed, isBuffered } of runs) {
  test(`tails of a cluster${isBuffered ? ' behind Kafka' : ''} show what was acknowledged, each entry once, seed ${seed}`, async (context) => {
    const dice = new Dice(seededRandom(seed));
    const random = seededRandom(seed + 1_000);
    const world = fakeWorld(seed, new PowerCutFiles());
    const isolated = new Set<string>();
    const kafka = isBuffered ? new KafkaSide(world, dice, isolated) : undefined;
    const bus = new FakeBus(world, { lossRatio: 0, delayMs: [0, 5], isolated });
    const kv = new MemoryKv(world.clock);
    const objects = new PowerCutFiles();
    objects.clock = world.clock;
    const processes = new Map<string, ClusterProcess>();
    const start = async (id: string, files: PowerCutFiles): Promise<void> => {
      processes.set(
        id,
        await ClusterProcess.start(id, files, {
          diskOf: (own) => own,
          world,
          bus,
          kv,
          objects,
          kafka,
          ingestersOf: (ring) => (isBuffered ? bufferedIngesters(ring) : ringIngesters(ring, 3)),
          options: { shards: 2, ingester: { walSegmentSize: 4_000, flushBytes: 40_000 } },
          heartbeatMs: 1_000,
          heartbeatTimeoutMs: 10_000,
        }),
      );
    };
    const disks = new Map([TAILED, ...OTHERS].map((id) => [id, new PowerCutFiles()]));
    for (const [id, disk] of disks) await start(id, disk);
    const isWell = (): boolean => [...processes.values()].every(({ member }) => member.state === 'ACTIVE');
    await world.runUntil(isWell, CALM);
    await world.advance(5_000);

    const tailed = processes.get(TAILED)!.store;
    const acknowledged = new Set<string>();
    const pending = new Set<Promise<void>>();
    const tails: OpenTail[] = [];
    /** What was acknowledged before each was open. */
    const before = new Map<OpenTail, ReadonlySet<string>>();
    let made = 0;
    const send = async (): Promise<void> => {
      const entries = numbers(1 + dice.below(4)).map(
        (): Entry => ({ labels: { app: `app-${dice.below(5)}` }, timeNs: NOW - BigInt(dice.below(1_000)) * MS, line: `entry ${made++}` }),
      );
      for (;;) {
        const outcome = await tailed.push(entries).catch(() => undefined);
        if (outcome !== undefined && outcome.fault === undefined) break;
        await world.timers.sleep(100);
      }
      for (const { line } of entries) acknowledged.add(line);
    };
    let failing: Promise<void> | undefined;
    const failures = {
      async 'is killed'(id: string) {
        const files = processes.get(id)!.crash('killed', random);
        await world.timers.sleep(dice.below(20_000));
        await start(id, files);
      },
      async 'is stopped'(id: string) {
        await processes.get(id)!.stop();
        const files = processes.get(id)!.crash('killed', random);
        await world.timers.sleep(dice.below(5_000));
        await start(id, files);
      },
      async 'is cut off'(id: string) {
        isolated.add(id);
        processes.get(id)!.isolated = true;
        await world.timers.sleep(dice.below(20_000));
        isolated.delete(id);
        processes.get(id)!.isolated = false;
      },
    };
    const fail = async (): Promise<void> => {
      const [what, act] = dice.pick(Object.entries(failures));
      const id = dice.pick(OTHERS);
      context.diagnostic(`${Math.round(world.clock.monotonicMs())}: ${id} ${what}`);
      await act(id);
      // The others have seen it again before the next one fails.
      while (!isWell()) await world.timers.sleep(100);
      await world.timers.sleep(15_000);
    };
    const actors = [`tailer/${TAILED}-0`, `tailer/${TAILED}-1`, `ingester/${TAILED}-0`, `ingester/${TAILED}-1`];
    for (let step = 0; step < STEPS; step++) {
      if (dice.chance(0.7)) {
        const sending: Promise<void> = send().finally(() => pending.delete(sending));
        pending.add(sending);
      } else if (dice.chance(0.2) && tails.length < 4) {
        const tail = new OpenTail(tailed, '{app=~".+"}', { limit: 100_000, frontend: TAILED });
        tails.push(tail);
        tail.opened.then(() => before.set(tail, new Set(acknowledged))).catch(() => {});
      } else if (dice.chance(0.3) && failing === undefined) {
        const running: Promise<void> = fail().then(() => {
          failing = undefined;
        });
        failing = running;
      } else if (dice.chance(0.1) && failing === undefined) {
        tailed.fail(dice.pick(actors));
        await world.advance(5_000);
      } else if (dice.chance(0.1)) tailed.flush().catch(() => {});
      await world.advance(dice.below(500));
    }
    await world.runUntil(() => pending.size === 0 && failing === undefined, CALM);
    await world.advance(70_000);

    const kept = tails.filter(({ fault }) => fault === undefined);
    for (const { fault } of tails) if (fault !== undefined) context.diagnostic(`a tail ended: ${fault.message}`);
    context.diagnostic(`${kept.length} of ${tails.length} tails went on, ${acknowledged.size} entries`);
    for (const { lines, dropped } of tails) assert.deepEqual([new Set(lines).size, dropped], [lines.length, []]);
    for (const tail of kept) {
      const shown = new Set(tail.lines);
      const missed = [...acknowledged].filter((line) => !shown.has(line));
      // Of a partition that nobody read when the tail began, what was there before is not known in time.
      assert.deepEqual(isBuffered ? missed.filter((line) => !before.get(tail)!.has(line)) : missed, []);
      assert.ok([...shown].every((line) => acknowledged.has(line)));
    }
    // What an owner has stored, and had not sent when it died, nobody sends any more.
    const mayBe = ['unavailable', 'stale_incarnation', ...(isBuffered ? ['not_found'] : [])];
    for (const { fault } of tails) assert.ok(fault === undefined || mayBe.includes(fault.code), String(fault));
    assert.ok(kept.length > 0, 'all tails ended');
  });
}
