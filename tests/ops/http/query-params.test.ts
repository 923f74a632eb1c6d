import assert from 'node:assert/strict';
import { test } from 'node:test';
import { direction, interval, limit, matches, QUERY_SINCE_NS, step, timeRange, timestamp } from '../../../ops/http/query-params.ts';

const NOW = 1_768_471_200_000_000_000n; // 2026-01-15T10:00:00Z
const HOUR = 3_600_000_000_000n;

const times: [text: string, ns: bigint][] = [
  ['', NOW],
  ['1768471200000000001', 1_768_471_200_000_000_001n],
  ['1768471200000', 1_768_471_200_000n],
  ['1768471200', 1_768_471_200_000_000_000n],
  ['0', 0n],
  ['-5', -5_000_000_000n],
  ['+7', 7_000_000_000n],
  ['1768471200.25', 1_768_471_200_250_000_000n],
  ['1768471200.', 1_768_471_200_000_000_000n],
  ['1.0004', 1_000_000_000n],
  ['0.57', 570_000_000n],
  ['-1.5', -1_500_000_000n],
  ['1.5e3', 1_500_000_000_000n],
  ['2026-01-15T10:00:00Z', NOW],
  ['2026-01-15T10:00:00.000000001Z', NOW + 1n],
  ['2026-01-15T10:00:00.5Z', NOW + 500_000_000n],
  ['2026-01-15T10:00:00.1234567899Z', NOW + 123_456_789n],
  ['2026-01-15T12:00:00+02:00', NOW],
  ['2026-01-15T04:30:00-05:30', NOW],
  ['1969-12-31T23:59:59.5Z', -500_000_000n],
];
for (const [text, ns] of times) test(`time ${JSON.stringify(text)}`, () => assert.equal(timestamp(text, NOW), ns));

const badTimes: [text: string, problem: 'invalid syntax' | 'value out of range'][] = [
  ['yesterday', 'invalid syntax'],
  ['2026-13-45', 'invalid syntax'],
  ['2026-02-30T00:00:00Z', 'invalid syntax'],
  ['2026-01-15T24:00:00Z', 'invalid syntax'],
  ['2026-01-15T10:00:00', 'invalid syntax'],
  ['2026-01-15 10:00:00Z', 'invalid syntax'],
  ['1.2.3', 'invalid syntax'],
  [' 5', 'invalid syntax'],
  ['1e9', 'invalid syntax'],
  ['0x10', 'invalid syntax'],
  ['9223372036854775808', 'value out of range'],
  ['1.0e300', 'value out of range'],
];
for (const [text, problem] of badTimes) {
  const message = `strconv.ParseInt: parsing "${text}": ${problem}`;
  test(`time ${JSON.stringify(text)}: ${problem}`, () => assert.throws(() => timestamp(text, NOW), { code: 'bad_request', message }));
}

const ranges: [params: string, startNs: bigint, endNs: bigint][] = [
  ['', NOW - HOUR, NOW],
  ['start=1&end=2', 1_000_000_000n, 2_000_000_000n],
  ['start=2&end=2', 2_000_000_000n, 2_000_000_000n],
  ['end=1768467600', NOW - 2n * HOUR, NOW - HOUR],
  ['end=1768478400', NOW - HOUR, NOW + 2n * HOUR],
  ['since=20m', NOW - HOUR / 3n, NOW],
  ['since=0', NOW, NOW],
  ['since=1d12h', NOW - 36n * HOUR, NOW],
  ['since=5m&end=1768467600', NOW - HOUR - HOUR / 12n, NOW - HOUR],
  ['since=5m&start=1768467600', NOW - HOUR, NOW],
];
for (const [params, startNs, endNs] of ranges) {
  test(`range of "${params}"`, () => assert.deepEqual(timeRange(new URLSearchParams(params), NOW, QUERY_SINCE_NS), { startNs, endNs }));
}

const badRanges: [params: string, message: string][] = [
  ['start=yesterday', `could not parse 'start' parameter: strconv.ParseInt: parsing "yesterday": invalid syntax`],
  ['end=a"b', `could not parse 'end' parameter: strconv.ParseInt: parsing "a\\"b": invalid syntax`],
  ['start=x&end=y', `could not parse 'end' parameter: strconv.ParseInt: parsing "y": invalid syntax`],
  ['since=soon', `could not parse 'since' parameter: not a valid duration string: "soon"`],
  ['since=1.5h', `could not parse 'since' parameter: not a valid duration string: "1.5h"`],
  ['since=-5m', `could not parse 'since' parameter: not a valid duration string: "-5m"`],
  ['since=300y', `could not parse 'since' parameter: duration out of range`],
  ['start=3&end=2', 'end timestamp must not be before or equal to start time'],
];
for (const [params, message] of badRanges) {
  test(`no range: "${params}"`, () => {
    assert.throws(() => timeRange(new URLSearchParams(params), NOW, QUERY_SINCE_NS), { code: 'bad_request', message });
  });
}

const seconds = (count: number): { startNs: bigint; endNs: bigint } => ({ startNs: 0n, endNs: BigInt(count) * 1_000_000_000n });
const steps: [text: string, rangeSeconds: number, stepNs: number][] = [
  ['', 0, 1e9],
  ['', 499, 1e9],
  ['', 500, 2e9],
  ['', 600, 2e9],
  ['', 86_400, 345e9],
  ['60', 3_600, 60e9],
  ['100.25', 3_600, 100.25e9],
  ['.5', 60, 0.5e9],
  ['1e2', 60, 100e9],
  ['1000ms', 60, 1e9],
  ['90s', 60, 90e9],
  ['7m', 60, 420e9],
  ['1d', 60, 86_400e9],
  ['1', 11_000, 1e9],
];
for (const [text, rangeSeconds, stepNs] of steps) {
  test(`step "${text}" over ${rangeSeconds} s`, () =>
    assert.equal(step(new URLSearchParams({ step: text }), seconds(rangeSeconds)), stepNs));
}

const NOT_POSITIVE = 'zero or negative query resolution step widths are not accepted. Try a positive integer';
const badSteps: [text: string, rangeSeconds: number, message: string][] = [
  ['0', 60, NOT_POSITIVE],
  ['-5', 60, NOT_POSITIVE],
  ['0s', 60, NOT_POSITIVE],
  ['1e-12', 60, NOT_POSITIVE],
  ['often', 60, 'cannot parse "often" to a valid duration'],
  ['1.5m', 60, 'cannot parse "1.5m" to a valid duration'],
  ['1m ', 60, 'cannot parse "1m " to a valid duration'],
  ['NaN', 60, 'cannot parse "NaN" to a valid duration'],
  ['1e300', 60, 'cannot parse "1e300" to a valid duration. It overflows int64'],
  ['Inf', 60, 'cannot parse "Inf" to a valid duration. It overflows int64'],
  ['1', 11_001, 'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter'],
];
for (const [text, rangeSeconds, message] of badSteps) {
  test(`no step: "${text}" over ${rangeSeconds} s`, () => {
    assert.throws(() => step(new URLSearchParams({ step: text }), seconds(rangeSeconds)), { code: 'bad_request', message });
  });
}

const others: [what: string, read: (params: URLSearchParams) => unknown, params: string, expected: unknown][] = [
  ['interval', interval, '', 0],
  ['interval', interval, 'interval=5m', 300e9],
  ['interval', interval, 'interval=0.5', 0.5e9],
  ['limit', limit, '', 100],
  ['limit', limit, 'limit=5000', 5_000],
  ['limit', limit, 'limit=%2B7', 7],
  ['limit', limit, 'limit=1&limit=2', 1],
  ['direction', direction, '', 'backward'],
  ['direction', direction, 'direction=forward', 'forward'],
  ['direction', direction, 'direction=BACKWARD', 'backward'],
  ['matches', matches, 'match=a&match[]=b&match=a', ['a', 'b']],
  ['matches', matches, '', []],
];
for (const [what, read, params, expected] of others) {
  test(`${what} of "${params}"`, () => assert.deepEqual(read(new URLSearchParams(params)), expected));
}

const badOthers: [what: string, read: (params: URLSearchParams) => unknown, params: string, message: string][] = [
  ['interval', interval, 'interval=often', 'cannot parse "often" to a valid duration'],
  ['interval', interval, 'interval=-1', 'interval must be >= 0'],
  ['limit', limit, 'limit=ten', 'strconv.Atoi: parsing "ten": invalid syntax'],
  ['limit', limit, 'limit=1.5', 'strconv.Atoi: parsing "1.5": invalid syntax'],
  ['limit', limit, 'limit=99999999999999999999', 'strconv.Atoi: parsing "99999999999999999999": value out of range'],
  ['limit', limit, 'limit=0', 'limit must be a positive value'],
  ['limit', limit, 'limit=-1', 'limit must be a positive value'],
  ['direction', direction, 'direction=sideways', `invalid direction 'sideways'`],
];
for (const [what, read, params, message] of badOthers) {
  test(`no ${what}: "${params}"`, () => assert.throws(() => read(new URLSearchParams(params)), { code: 'bad_request', message }));
}
