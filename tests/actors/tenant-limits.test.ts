import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOptions } from '../../actors/limits.ts';
import { LimitsByTenant } from '../../actors/tenant-limits.ts';
import { defaultsOf } from '../../ops/base/options.ts';

const defaults = defaultsOf(limitsOptions);

test('a tenant has its own limits on top of the defaults, any other the defaults', () => {
  const limits = new LimitsByTenant(defaults, [['a', { maxLineSize: 10, enforcedLabels: ['env'] }]]);
  assert.deepEqual(limits.of('a'), { ...defaults, maxLineSize: 10, enforcedLabels: ['env'] });
  assert.equal(limits.of('b'), defaults);
  assert.equal(limits.of('constructor'), defaults);
});

test('limits that did not change are the same object', () => {
  const limits = new LimitsByTenant(defaults, [
    ['a', { enforcedLabels: ['env'] }],
    ['b', { maxLineSize: 10 }],
    ['c', { maxLineSize: 20 }],
  ]);
  const [a, b] = [limits.of('a'), limits.of('b')];
  limits.replace([
    ['a', { enforcedLabels: ['env'] }],
    ['b', { maxLineSize: 11 }],
    ['d', {}],
  ]);
  assert.equal(limits.of('a'), a);
  assert.notEqual(limits.of('b'), b);
  assert.equal(limits.of('b').maxLineSize, 11);
  assert.equal(limits.of('c'), defaults);
  assert.equal(limits.of('d'), defaults);
});

test('the most of any tenant', () => {
  const limits = new LimitsByTenant(defaults, []);
  assert.equal(limits.most('queryTimeout'), defaults.queryTimeout);
  limits.replace([
    ['a', { queryTimeout: 1 }],
    ['b', { queryTimeout: 600_000 }],
  ]);
  assert.equal(limits.most('queryTimeout'), 600_000);
});

test('several tenants together may what each of them may', () => {
  const limits = new LimitsByTenant({ ...defaults, maxQueryLength: 0, queryTimeout: 60_000 }, [
    [
      'a',
      { maxQueryLength: 9, maxQuerySeries: 7, requiredLabels: ['x', 'y'], splitQueriesByInterval: 2 * defaults.splitQueriesByInterval },
    ],
    ['b', { maxQueryLength: 8, maxEntriesLimitPerQuery: 0, queryTimeout: 5, requiredLabels: ['z', 'x'], minimumLabelsNumber: 2 }],
    ['c', { volumeEnabled: false, tsdbMaxQueryParallelism: 0, splitQueriesByInterval: 0, maxStreamsMatchersPerQuery: 3 }],
  ]);
  const ab = limits.of('a|b');
  assert.deepEqual([ab.maxQueryLength, ab.maxQuerySeries, ab.queryTimeout, ab.minimumLabelsNumber], [8, 7, 5, 2]);
  assert.deepEqual([ab.maxEntriesLimitPerQuery, ab.maxQueryBytesRead], [defaults.maxEntriesLimitPerQuery, 0]);
  assert.deepEqual(ab.requiredLabels, ['x', 'y', 'z']);
  assert.deepEqual([ab.volumeEnabled, ab.splitQueriesByInterval], [true, 2 * defaults.splitQueriesByInterval]);
  const all = limits.of('a|b|c');
  assert.deepEqual([all.volumeEnabled, all.tsdbMaxQueryParallelism, all.splitQueriesByInterval], [false, 0, 0]);
  assert.equal(all.maxStreamsMatchersPerQuery, 3);
  assert.equal(limits.of('d|e').maxQueryLength, 0);
});
