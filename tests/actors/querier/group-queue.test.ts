import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GroupQueue } from '../../../actors/querier/group-queue.ts';
import type { ScanGroup } from '../../../actors/querier/scan-group.ts';
import type { SourceUnit, StreamSources } from '../../../actors/querier/sources.ts';

const streamNamed = (labels: string): StreamSources => ({ labels, hash: labels, units: [] });
const A = streamNamed('{app="a"}');
const B = streamNamed('{app="b"}');

function group(stream: StreamSources, [minNs, maxNs]: [number, number], { bytes = 10, kind = 'stored' } = {}): ScanGroup {
  const outline = {
    rows: 1,
    minOffset: 0,
    maxOffset: 0,
    lineBytes: bytes,
    metadataBytes: 0,
    metadata: [],
    metadataKeys: () => [],
    baseNs: 0n,
  };
  const times = { minNs: BigInt(minNs), maxNs: BigInt(maxNs) };
  const unit = { kind, source: 0, ...times, block: outline, rows: outline, chunk: { baseNs: 0n } } as unknown as SourceUnit;
  return { stream, units: [unit], ...times };
}

function drain(queue: GroupQueue): ScanGroup[] {
  const groups: ScanGroup[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) groups.push(next);
  return groups;
}

test('about half of the bytes that are left are split off, from the end; each group is in one half', () => {
  const groups = [1, 2, 3, 4].map((time) => group(A, [time, time], { bytes: time * 10 }));
  const queue = new GroupQueue(groups);
  assert.equal(queue.take(), groups[0]);
  assert.deepEqual(queue.split(), [groups[2], groups[3]]);
  assert.deepEqual(queue.split(), [groups[1]]);
  assert.deepEqual(queue.split(), []);
  assert.deepEqual(drain(queue), []);
});

test('heads stay', () => {
  const groups = [group(A, [1, 1]), group(A, [2, 2], { kind: 'head', bytes: 1_000 }), group(B, [1, 1]), group(B, [2, 2], { kind: 'head' })];
  const queue = new GroupQueue(groups);
  assert.deepEqual(queue.split(), [groups[2]]);
  assert.deepEqual(drain(queue), [groups[0], groups[1], groups[3]]);
});

test('groups of one stream that meet in one time stay together, with what was taken before too', () => {
  const groups = [group(A, [1, 2]), group(A, [2, 3]), group(A, [3, 4]), group(A, [5, 6]), group(B, [6, 7])];
  const queue = new GroupQueue(groups);
  queue.take();
  assert.deepEqual(queue.split(), [groups[3], groups[4]]);
  assert.deepEqual(queue.split(), []);
  assert.deepEqual(drain(queue), [groups[1], groups[2]]);
});
