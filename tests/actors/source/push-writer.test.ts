import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writePush } from '../../../actors/source/push-writer.ts';
import type { MappedRow } from '../../../actors/source/record.ts';
import { readPushProto } from '../../../storage/batch/from-proto.ts';
import { SeenPush } from '../../support/seen-push.ts';
import { seededRandom } from '../../support/steady-load.ts';

test('what is written is what is read, stream by stream', () => {
  const random = seededRandom(1);
  const upTo = (most: number): number => Math.floor(random() * most);
  const rows = Array.from({ length: 500 }, (_, number): MappedRow => {
    const pairs = Array.from({ length: upTo(3) }, (_, pair): [string, string] => [`name-${pair}`, 'ü'.repeat(upTo(200))]);
    return {
      kind: 'row',
      tenant: 'a',
      labels: `{app="${upTo(4)}"}`,
      timeNs: BigInt(upTo(2 ** 33)) * 1_000_000_000n + BigInt(upTo(1e9)),
      line: Buffer.from(`${number} ${'x'.repeat(upTo(20_000))}`),
      metadata: pairs.flat(),
    };
  });
  const { body, order } = writePush(rows);
  const seen = new SeenPush();
  assert.equal(readPushProto(body, seen), 4);
  const entries = seen.streams.flatMap(({ labels, entries }) => entries.map((entry) => ({ labels, ...entry })));
  assert.equal(entries.length, rows.length);
  assert.deepEqual(new Set(order).size, rows.length);
  for (const [at, entry] of entries.entries()) {
    const row = rows[order[at]];
    assert.equal(entry.labels, row.labels);
    assert.equal(BigInt(entry.seconds) * 1_000_000_000n + BigInt(entry.nanos), row.timeNs);
    assert.ok(entry.line.equals(row.line));
    assert.deepEqual(entry.pairs, row.metadata);
  }
});
