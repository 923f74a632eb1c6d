import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bell } from '../../actors/bell.ts';

const { signal } = new AbortController();

test('a ring wakes the one who waits', async () => {
  const bell = new Bell();
  const rung = bell.rung(signal);
  bell.ring();
  await rung;
});

test('a ring before the wait is remembered, once', async () => {
  const bell = new Bell();
  bell.ring();
  bell.ring();
  await bell.rung(signal);
  let woken = false;
  const next = bell.rung(signal).then(() => {
    woken = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(woken, false);
  bell.ring();
  await next;
});

test('the signal ends a wait, before it or in it, and leaves the ring for the next', async () => {
  const bell = new Bell();
  const caller = new AbortController();
  const waiting = bell.rung(caller.signal);
  caller.abort(new Error('left'));
  await assert.rejects(waiting, /left/);
  await assert.rejects(bell.rung(caller.signal), /left/);
  bell.ring();
  await assert.rejects(bell.rung(caller.signal), /left/);
  await bell.rung(signal);
});
