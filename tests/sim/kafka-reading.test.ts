import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bufferedIngesters } from '../../actors/ingesters.ts';
import type { IngesterStatus } from '../../actors/protocol/ingest.ts';
import { ingesterProtocol } from '../../actors/protocol/ingest.ts';
import { pushRecordHeader } from '../../storage/batch/push-record.ts';
import { Dice } from '../support/dice.ts';
import type { ClusterProcess } from './cluster-process.ts';
import { ClusterRig } from './cluster-rig.ts';
import { KafkaSide } from './kafka-side.ts';

const FOREVER = { tenant: '', deadlineMs: Number.POSITIVE_INFINITY };
const MAX_AGE_MS = 30 * 60_000;

/** Processes behind a simulated Kafka. */
class Rig extends ClusterRig {
  readonly kafka = new KafkaSide(this.world, new Dice(this.world.random), new Set());

  begin(id: string): Promise<ClusterProcess> {
    return this.start(id, 'zone', { kafka: this.kafka, ingestersOf: bufferedIngesters });
  }

  /** Kills it, and starts it anew once the group has noticed. Resolves at once if it is not to become active. */
  async again(id: string, becomesActive = true): Promise<void> {
    this.disks.set(id, this.of(id).crash('names', this.world.random));
    await this.world.advance(10_000);
    const starting = this.begin(id);
    if (becomesActive) await starting;
    else starting.catch(() => {});
  }

  /** Of each shard. */
  async statuses(id: string): Promise<IngesterStatus[]> {
    return Promise.all(
      [0, 1].map((shard) => this.soon(this.of(id).store.system.ask(ingesterProtocol, `${id}-${shard}`, { kind: 'status' }, FOREVER))),
    );
  }

  async partitions(id: string) {
    return (await this.statuses(id)).flatMap(({ partitions = [] }) => partitions);
  }
}

test('that records without entries were read is stored too, before Kafka deletes them', async () => {
  const rig = new Rig();
  await rig.begin('a');
  const { logs, lows } = rig.kafka.fake;
  const timeMs = rig.world.clock.nowMs();
  for (const log of logs) log.push({ value: pushRecordHeader(''), timeMs });
  await rig.world.advance(MAX_AGE_MS + 60_000);
  for (const partition of lows.keys()) lows[partition] = 1;
  await rig.again('a');
  assert.deepEqual(
    (await rig.partitions('a')).map(({ state, position }) => `${state} ${position}`),
    logs.map(() => 'reading 1'),
  );
});

test('a partition that goes on without what Kafka deleted unread is read though nothing comes, and the process becomes active', async () => {
  const rig = new Rig();
  await rig.begin('a');
  await rig.push('a');
  const { logs, lows } = rig.kafka.fake;
  const taken = logs.flatMap((log, partition) => (log.length > 0 ? partition : []));
  for (const partition of taken) lows[partition] = logs[partition].length;
  await rig.again('a', false);
  await rig.world.advance(30_000);
  const stopped = (await rig.partitions('a')).filter(({ state }) => state === 'stopped');
  assert.deepEqual(stopped.map(({ partition }) => partition).sort(), taken);
  const { system } = rig.of('a').store;
  for (const partition of taken) {
    const ask = { kind: 'give_up' as const, partition, from: 0, to: lows[partition] };
    await rig.soon(system.ask(ingesterProtocol, 'a-0', ask, FOREVER));
  }
  await rig.when(() => rig.of('a').member.state === 'ACTIVE');
  assert.ok((await rig.partitions('a')).every(({ state }) => state === 'reading'));
  assert.deepEqual(await rig.found('a'), []);
});
