import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { detectFormat, findTime, LineClock, parseTime } from '../../../ops/cli/times.ts';

before(() => {
  process.env.TZ = 'Europe/Berlin'; // UTC+1 in winter: times without a zone are local
});

const NOW = Date.UTC(2026, 0, 10, 12);
const utc = (text: string, ns = 0n): bigint => BigInt(Date.parse(text)) * 1_000_000n + ns;

const cases: [what: string, line: string, time: bigint | undefined][] = [
  ['RFC 3339', '2026-01-15T10:00:00Z started', utc('2026-01-15T10:00:00Z')],
  ['RFC 3339 with nanoseconds', 'at 2026-01-15T10:00:00.123456789Z', utc('2026-01-15T10:00:00.123Z', 456_789n)],
  ['RFC 3339 with an offset', '2026-01-15T10:00:00.5+05:30 x', utc('2026-01-15T04:30:00.500Z')],
  ['a negative offset without colon', '2026-01-15 10:00:00 -0800 x', utc('2026-01-15T18:00:00Z')],
  ['an offset of hours', '2026-01-15 10:00:00.1+02 x', utc('2026-01-15T08:00:00.100Z')],
  ['UTC by name', '2026-01-15 10:00:00.250 UTC [7] LOG', utc('2026-01-15T10:00:00.250Z')],
  ['local time with a comma', '2026-01-15 10:00:00,123 INFO x', utc('2026-01-15T09:00:00.123Z')],
  ['local time in summer', '2026-07-15 10:00:00 status', utc('2026-07-15T08:00:00Z')],
  ['slashes', '2026/01/15 10:00:00 [error] 7#7', utc('2026-01-15T09:00:00Z')],
  ['a number that follows is no zone', '2026-01-15 10:00:00 -12 degrees', utc('2026-01-15T09:00:00Z')],
  ['common log format', '10.0.0.1 - bob [15/Jan/2026:10:00:00 +0100] "GET / HTTP/1.1" 200 5', utc('2026-01-15T09:00:00Z')],
  ['syslog', 'Jan  5 10:00:00 host app[7]: x', utc('2026-01-05T09:00:00Z')],
  ['syslog of last year', 'Dec 31 23:59:59 host app: x', utc('2025-12-31T22:59:59Z')],
  ['syslog a little ahead', 'Jan 11 10:00:00 host app: x', utc('2026-01-11T09:00:00Z')],
  ['syslog with a priority', '<34>Jan  5 10:00:00.25 host su: x', utc('2026-01-05T09:00:00.250Z')],
  ['syslog on a leap day of a year without one', 'Feb 29 10:00:00 host app: x', undefined],
  ['epoch in seconds', '1768471200 x', utc('2026-01-15T10:00:00Z')],
  ['epoch in brackets with a fraction', '[1768471200.25] x', utc('2026-01-15T10:00:00.250Z')],
  ['epoch in milliseconds', '1768471200123 x', utc('2026-01-15T10:00:00.123Z')],
  ['epoch in microseconds', '1768471200123456 x', utc('2026-01-15T10:00:00.123Z', 456_000n)],
  ['epoch in nanoseconds', '1768471200123456789 x', utc('2026-01-15T10:00:00.123Z', 456_789n)],
  ['seconds since boot', '[    1.234567] usb 1-1', undefined],
  ['a number of another length', '12345 x', undefined],
  ['the time that comes first', 'Jan  5 10:00:00 host app: at 2020-01-01T00:00:00Z', utc('2026-01-05T09:00:00Z')],
  ['no such month', '2026-13-15T10:00:00Z', undefined],
  ['no such hour', '2026-01-15T25:00:00Z', undefined],
  ['digits before a date', '12026-01-15T10:00:00Z', undefined],
  ['a time far into the line', `${'x'.repeat(300)} 2026-01-15T10:00:00Z`, undefined],
  ['no time', 'hello', undefined],
  ['JSON ts', '{"ts":"2026-01-15T10:00:00Z","msg":"x"}', utc('2026-01-15T10:00:00Z')],
  ['JSON time in ms', '{"level":30,"time":1768471200123,"msg":"x"}', utc('2026-01-15T10:00:00.123Z')],
  ['JSON float seconds', '{"ts":1768471200.25}', utc('2026-01-15T10:00:00.250Z')],
  ['JSON nanoseconds beyond 2^53', '{"a":"1", "timestamp": 1768471200123456789}', utc('2026-01-15T10:00:00.123Z', 456_789n)],
  ['JSON nanoseconds as text', '{"timestamp":"1768471200123456789"}', utc('2026-01-15T10:00:00.123Z', 456_789n)],
  ['JSON @timestamp', '{"@timestamp":"2026-01-15T10:00:00.001Z"}', utc('2026-01-15T10:00:00.001Z')],
  ['JSON whose time is only in its text', '{"msg":"since 2026-01-15T10:00:00Z"}', undefined],
  ['JSON that is cut off', '{"ts":"2026-01-15T10:00:00Z","ms', utc('2026-01-15T10:00:00Z')],
  ['logfmt ts', 'level=info ts=2026-01-15T10:00:00Z msg=x', utc('2026-01-15T10:00:00Z')],
  ['logfmt quoted time', 'time="2026-01-15 10:00:00 +0000" level=info', utc('2026-01-15T10:00:00Z')],
  ['logfmt key within another', 'lifetime=1768471200 level=info', undefined],
];
for (const [what, line, time] of cases) test(`line time: ${what}`, () => assert.equal(findTime(line, detectFormat(line), NOW), time));

const formats: [line: string, format: string][] = [
  ['{"a":1}', 'json'],
  ['level=info msg="x"', 'logfmt'],
  ['ts=5', 'logfmt'],
  ['a = b', 'plain'],
  ['Jan  5 10:00:00 host app: a=b', 'plain'],
  ['', 'plain'],
];
for (const [line, format] of formats) test(`line format: ${line}`, () => assert.equal(detectFormat(line), format));

test('a time option must be a time from its start', () => {
  assert.equal(parseTime('2026-01-15T10:00:00Z', NOW), utc('2026-01-15T10:00:00Z'));
  assert.equal(parseTime('on 2026-01-15T10:00:00Z', NOW), undefined);
  assert.equal(parseTime('yesterday', NOW), undefined);
});

test('lines without times are stamped in order, each on its own', () => {
  let now = 1_000;
  const clock = new LineClock(undefined, () => now);
  assert.deepEqual([clock.timeOf('a'), clock.timeOf('a')], [1_000_000_000n, 1_000_000_001n]);
  now = 999; // the wall clock was set back
  assert.equal(clock.timeOf('b'), 1_000_000_002n);
  now = 2_000;
  assert.equal(clock.timeOf('c'), 2_000_000_000n);
});

test('lines of one time, and lines without one, follow each other by a nanosecond', () => {
  const clock = new LineClock(
    (line) => (line.startsWith('t') ? BigInt(line.slice(1)) : undefined),
    () => 0,
  );
  const times = ['t100', 't100', '  at x', 't90', 't100'].map((line) => clock.timeOf(line));
  assert.deepEqual(times, [100n, 101n, 102n, 90n, 100n]);
});
