import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Surveyor } from '../../../actors/compactor/survey.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { HOUR_NS } from '../../../storage/batch/batch.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { levelZeroKey } from '../../../storage/segment/keys.ts';
import { segmentOf } from '../../storage/segment/segments.ts';

const DAY = 20_000;

test('a day whose objects are the same is not looked at again; between days others have their turn', async () => {
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  const blobs = new MemoryBlobStore(clock);
  let turns = 0;
  const surveyor = new Surveyor(blobs, clock, noInstruments.log, async () => void turns++);
  let next = 0;
  const flush = async (day: number): Promise<void> => {
    const rows = [{ time: BigInt(day) * 24n * BigInt(HOUR_NS), line: String(next), metadata: {} }];
    const body = await segmentOf([{ tenant: 't', labels: { app: 'x' }, rows }], { log: 'w', from: next, to: next + 1 });
    await blobs.put(levelZeroKey('w', next++), body);
    nowMs++;
  };
  const surveyed = async () => {
    turns = 0;
    const { days } = await surveyor.survey();
    return new Map(days.map((day) => [day.day, day]));
  };
  for (let day = DAY; day < DAY + 50; day++) await flush(day);
  const first = await surveyed();
  assert.deepEqual([first.size, turns >= 150], [50, true]); // when it is read, listed and worked out
  await flush(DAY + 7);
  const second = await surveyed();
  for (const [day, known] of first) assert.equal(second.get(day) === known, day !== DAY + 7, `day ${day}`);
  assert.equal(second.get(DAY + 7)?.levelZero.length, 2);
  await blobs.delete(levelZeroKey('w', 7));
  assert.deepEqual(
    (await surveyed()).get(DAY + 7)?.levelZero.map(({ key }) => key),
    [levelZeroKey('w', 50)],
  );
  await blobs.delete(levelZeroKey('w', 8));
  assert.equal((await surveyed()).has(DAY + 8), false);
});
