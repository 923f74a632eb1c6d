import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompiledMatcher, Postings, PostingsBuilder } from '../../../storage/segment/postings.ts';

const SERIES = 3_000;

function postings(): Postings {
  const builder = new PostingsBuilder();
  for (let series = 0; series < SERIES; series++)
    builder.add(series, [
      ['env', series % 3 === 0 ? 'prod' : 'dev'],
      ['pod', `pod-${series} é`],
      ['zone', `zone-${series % 700}`],
    ]);
  return new Postings(builder.finish(), SERIES);
}

const equal = (name: string, equals: string): CompiledMatcher => ({ name, equals, test: (value) => value === equals });

test('a single value of a label with many is found without decoding the others, and as it is with them', () => {
  const fresh = postings();
  const decoded = postings();
  for (const name of decoded.names()) decoded.values(name);
  for (const value of ['pod-0 é', 'pod-1 é', 'pod-2999 é', 'pod-3000 é', 'pod']) {
    assert.deepEqual(fresh.select([equal('pod', value)]), decoded.select([equal('pod', value)]), value);
    assert.deepEqual(
      fresh.select([equal('env', 'dev'), equal('pod', value)]),
      decoded.select([equal('env', 'dev'), equal('pod', value)]),
      value,
    );
  }
  assert.deepEqual(fresh.select([equal('pod', 'pod-17 é')]), [17]);
  assert.ok(fresh.heldBytes < 100_000, `${fresh.heldBytes} bytes held`); // of env
  assert.ok(decoded.heldBytes > 3_000 * 200, `${decoded.heldBytes} bytes held`);
});

test('what was decoded can be forgotten, and gives the same again', () => {
  const all = postings();
  const zones = all.values('zone');
  assert.equal(zones.length, 700);
  all.forget();
  assert.equal(all.heldBytes, 0);
  assert.deepEqual(all.select([equal('zone', 'zone-5')]), [5, 705, 1405, 2105, 2805]);
  assert.deepEqual(all.values('zone'), zones);
});
