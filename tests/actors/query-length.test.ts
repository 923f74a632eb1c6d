import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkQueryLength } from '../../actors/query-length.ts';

const HOUR = 3_600_000;

test('a query is as long as the tenant allows', () => {
  checkQueryLength(HOUR * 1e6, { maxQueryLength: HOUR });
  checkQueryLength(Number.MAX_SAFE_INTEGER, { maxQueryLength: 0 });
  assert.throws(() => checkQueryLength(HOUR * 1e6 + 1e9, { maxQueryLength: HOUR }), {
    code: 'limit_exceeded',
    message: 'the query time range exceeds the limit (query length: 1h0m1s, limit: 1h)',
  });
});
