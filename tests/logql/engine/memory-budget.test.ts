import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryBudget, SharedMemory } from '../../../logql/engine/memory-budget.ts';

test('a budget gives out what it has, names its limit, and gives all back at its end', () => {
  const pool = new SharedMemory('querier 1', 1_000);
  const budget = new MemoryBudget(600, pool);
  budget.take(400);
  assert.throws(() => budget.take(300), { code: 'limit_exceeded', message: /max_query_memory: 600 bytes, held: 400, wanted: 300 more/ });
  budget.give(200);
  budget.take(300);
  assert.deepEqual([budget.heldBytes, pool.heldBytes], [500, 500]);
  budget.close();
  assert.deepEqual([budget.heldBytes, pool.heldBytes], [0, 0]);
  budget.give(100);
  assert.throws(() => budget.take(1), { code: 'cancelled' });
  assert.equal(pool.heldBytes, 0);
});

test('what others hold is refused, to be tried again, and nothing of it is taken', () => {
  const pool = new SharedMemory('querier 1', 1_000);
  const [one, other] = [new MemoryBudget(0, pool), new MemoryBudget(0, pool)];
  one.take(800);
  assert.throws(() => other.take(300), {
    code: 'overloaded',
    retryAfterS: 2,
    message: /querier 1 works on hold 800 bytes together, and one needs 300 more/,
  });
  assert.equal(other.heldBytes, 0);
  one.close();
  other.take(900);
});

test('of copies one counts for the query, all for the others', () => {
  const pool = new SharedMemory('querier 1', 1_000);
  const budget = new MemoryBudget(300, pool);
  budget.takeCopies(600, 3);
  assert.deepEqual([budget.heldBytes, pool.heldBytes], [200, 600]);
  assert.throws(() => budget.takeCopies(303, 3), { code: 'limit_exceeded' });
  budget.take(100);
  assert.throws(() => new MemoryBudget(0, pool).takeCopies(301, 3), { code: 'overloaded' });
  budget.close();
  budget.close();
  assert.equal(pool.heldBytes, 0);
});
