import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamCache } from '../../../actors/distributor/stream-cache.ts';
import { limitsOptions, type TenantLimits } from '../../../actors/limits.ts';
import { defaultsOf } from '../../../ops/base/options.ts';
import { type DecodeOptions, json, one, proto, refusedWith } from '../../support/decoded-push.ts';

test('cache: tenants and limits are kept apart', () => {
  const cache = new StreamCache();
  const hash = (options: DecodeOptions): string => proto([one('{a="1"}', 'x')], { ...options, cache }).batches[0].hash;
  const first = hash({});
  assert.equal(hash({}), first);
  assert.notEqual(hash({ tenant: 'other' }), first);
  assert.notEqual(hash({ limits: { discoverServiceName: [] } }), first);
});

test('cache: JSON labels are not known as label text', () => {
  const cache = new StreamCache();
  json('{"streams":[{"stream":{"a":"1"},"values":[]}]}', { cache });
  assert.throws(() => proto([one('{"a":"1"}', 'x')], { cache }), refusedWith(400, /couldn't parse labels/));
});

test('cache: labels that are too large are refused before they become a key', () => {
  const cache = new StreamCache();
  const labels = Buffer.alloc(4 * 1024 * 1024 + 1, 0x20);
  assert.throws(
    () => cache.of('fake', 'text', labels, 0, labels.length, defaultsOf(limitsOptions)),
    refusedWith(413, /^request body too large: stream labels of 4194305 bytes, limit: 4194304 bytes$/),
  );
  assert.equal(cache.size, 0);
});

test('cache: its size is bounded', () => {
  const cache = new StreamCache(1_000_000);
  for (let n = 0; n < 5_000; n++) proto([one(`{n="${n}"}`, 'x')], { cache });
  assert.ok(cache.size > 500 && cache.size < 2_500, `${cache.size}`);
});

test('cache: what is known is not worked out again, until limits change', () => {
  const cache = new StreamCache();
  const labels = Buffer.from('{a="1"}');
  const limits = defaultsOf(limitsOptions);
  const of = (current: TenantLimits) => cache.of('fake', 'text', labels, 0, labels.length, current);
  assert.equal(of(limits), of(limits));
  assert.notEqual(of({ ...limits }), of(limits));
});
