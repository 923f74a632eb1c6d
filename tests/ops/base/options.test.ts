import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bool, bytes, duration, int, list, type Option, plainValue } from '../../../ops/base/options.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const durations: [text: string, ms: number, printed: string][] = [
  ['0', 0, '0s'],
  ['0s', 0, '0s'],
  ['250ms', 250, '250ms'],
  ['90s', 90_000, '1m30s'],
  ['1m30s', 90_000, '1m30s'],
  ['1.5h', 1.5 * HOUR, '1h30m'],
  ['744h', 744 * HOUR, '31d'],
  ['721h', 721 * HOUR, '30d1h'],
  ['30d1h', 721 * HOUR, '30d1h'],
  ['168h', 7 * DAY, '1w'],
  ['1w', 7 * DAY, '1w'],
  ['8d', 8 * DAY, '8d'],
  ['2w1d', 15 * DAY, '15d'],
  ['1y', 365 * DAY, '1y'],
  ['1y1d', 366 * DAY, '366d'],
  ['-5m', -300_000, '-5m'],
  ['1h0m0s', HOUR, '1h'],
  [' 1h ', HOUR, '1h'],
  ['1.5ms', 1.5, '1.5ms'],
];
for (const [text, ms, printed] of durations) checkRow('duration', duration('0', ''), text, ms, printed);

const sizes: [text: string, count: number, printed: string][] = [
  ['0', 0, '0B'],
  ['1', 1, '1B'],
  ['1000', 1_000, '1000B'],
  ['1024', 1_024, '1KB'],
  ['4MB', 4 * 1024 ** 2, '4MB'],
  ['4mb', 4 * 1024 ** 2, '4MB'],
  ['4M', 4 * 1024 ** 2, '4MB'],
  ['4 MiB', 4 * 1024 ** 2, '4MB'],
  ['1.5KB', 1_536, '1536B'],
  ['1536KB', 1_536 * 1024, '1536KB'],
  ['150GB', 150 * 1024 ** 3, '150GB'],
  ['2TB', 2 * 1024 ** 4, '2TB'],
  ['1PB', 1024 ** 5, '1PB'],
];
for (const [text, count, printed] of sizes) checkRow('size', bytes('0', ''), text, count, printed);

const numbers: [text: string, value: number, printed: string][] = [
  ['5000', 5_000, '5000'],
  ['-1', -1, '-1'],
  ['1.572864e+06', 1_572_864, '1572864'],
  ['1E3', 1_000, '1000'],
];
for (const [text, value, printed] of numbers) checkRow('number', int('0', ''), text, value, printed);

for (const text of ['1', 't', 'T', 'true', 'True', 'TRUE', 'yes', 'on']) checkRow('bool', bool('false', ''), text, true, 'true');
for (const text of ['0', 'f', 'F', 'false', 'False', 'FALSE', 'no', 'off']) checkRow('bool', bool('true', ''), text, false, 'false');

function checkRow<T>(what: string, option: Option<T>, text: string, value: T, printed: string): void {
  test(`${what} ${JSON.stringify(text)} is printed ${printed}`, () => {
    assert.equal(option.parse(text), value);
    assert.equal(option.print(value), printed);
    assert.equal(option.parse(printed), value);
  });
}

const refused: [option: Option<unknown>, text: string, message: string][] = [
  [duration('0', ''), '5', 'not a duration: 5'],
  [duration('0', ''), '', 'not a duration: '],
  [duration('0', ''), '1x', 'not a duration: 1x'],
  [duration('0', '', { min: 10 }), '0', '0s is below 10ms'],
  [bytes('0', ''), '4XB', 'not a size: 4XB'],
  [bytes('0', ''), '-1', 'not a size: -1'],
  [int('0', ''), '1.5', 'not a whole number: 1.5'],
  [int('0', ''), '1e-1', 'not a whole number: 1e-1'],
  [int('0', ''), '1e300', 'not a whole number: 1e300'],
  [int('0', ''), '', 'not a whole number: '],
  [bool('true', ''), 'maybe', 'neither true nor false: maybe'],
].map((row) => row as [Option<unknown>, string, string]);
for (const [option, text, message] of refused) {
  test(`${option.type} ${JSON.stringify(text)} is refused`, () => assert.throws(() => option.parse(text), { message }));
}

test('values in YAML and JSON: numbers, booleans and lists as such, sizes and durations as texts', () => {
  assert.equal(plainValue(bool('true', ''), false), false);
  assert.deepEqual(plainValue(list('a,b', ''), ['a']), ['a']);
  assert.equal(plainValue(bytes('0', ''), 2_048), '2KB');
  assert.equal(plainValue(duration('0', ''), 60_000), '1m');
});
