import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutstandingQueries } from '../../../ops/http/outstanding.ts';
import { held } from './harness.ts';

const refusal = { code: 'rate_limited', message: 'too many outstanding requests' };

test('a tenant has as many queries outstanding as it may, whatever other tenants have', async () => {
  const queries = new OutstandingQueries(2);
  const [one, two] = [held<string>(), held<string>()];
  const asked = [queries.run(['a'], () => one.promise), queries.run(['a'], () => two.promise)];
  await assert.rejects(
    queries.run(['a'], async () => assert.fail('begun')),
    refusal,
  );
  assert.equal(await queries.run(['b'], async () => 'b'), 'b');
  await assert.rejects(
    queries.run(['b', 'a'], async () => assert.fail('begun')),
    refusal,
  );
  assert.equal(queries.of('b'), 0);
  one.resolve('1');
  two.reject(new Error('failed'));
  assert.equal(await asked[0], '1');
  await assert.rejects(asked[1], /failed/);
  assert.equal(queries.of('a'), 0);
  assert.equal(await queries.run(['a'], async () => 'again'), 'again');
});

test('0 is any number', async () => {
  const queries = new OutstandingQueries(0);
  const never = held<string>();
  for (let asked = 0; asked < 10; asked++) void queries.run(['a'], () => never.promise);
  assert.equal(await queries.run(['a'], async () => 'answered'), 'answered');
});
