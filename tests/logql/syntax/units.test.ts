import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unquoteGo } from '../../../logql/syntax/go-string.ts';
import { printNumber, printSample } from '../../../logql/syntax/print-number.ts';
import { parseBytes, parseDuration, printBytes, printDuration, printGoDuration, UnitError } from '../../../logql/syntax/units.ts';

const S = 1e9;
const durations: [text: string, ns: number, short: string, go: string][] = [
  ['0s', 0, '0s', '0s'],
  ['1ns', 1, '1ns', '1ns'],
  ['1.5us', 1500, '1.5µs', '1.5µs'],
  ['250ms', 0.25 * S, '250ms', '250ms'],
  ['1.5s', 1.5 * S, '1s500ms', '1.5s'],
  ['90s', 90 * S, '1m30s', '1m30s'],
  ['5m', 300 * S, '5m', '5m0s'],
  ['1h30m', 5400 * S, '1h30m', '1h30m0s'],
  ['36h', 36 * 3600 * S, '1d12h', '36h0m0s'],
  ['1d', 86_400 * S, '1d', '24h0m0s'],
  ['1w2d', 9 * 86_400 * S, '9d', '216h0m0s'],
  ['1y', 365 * 86_400 * S, '1y', '8760h0m0s'],
  ['-5m', -300 * S, '-5m0s', '-5m0s'],
];
for (const [text, ns, short, go] of durations) {
  test(`duration ${text}`, () => {
    assert.equal(parseDuration(text), ns);
    assert.equal(printDuration(ns), short);
    assert.equal(printGoDuration(ns), go);
    assert.equal(parseDuration(short), ns);
    assert.equal(parseDuration(go), ns);
  });
}

for (const [text, message] of [
  ['', 'empty duration string'],
  ['5q', 'unknown unit "q" in duration "5q"'],
  [' 90m ', 'not a valid duration string: " 90m "'],
  ['1h1d', 'unknown unit "d" in duration "1h1d"'],
  ['5', 'not a valid duration string: "5"'],
]) {
  test(`no duration: ${JSON.stringify(text)}`, () => assert.throws(() => parseDuration(text), new UnitError(message)));
}

const sizes: [text: string, bytes: number, canonical: string][] = [
  ['5B', 5, '5B'],
  ['10KB', 10_000, '10kB'],
  ['1kb', 1000, '1.0kB'],
  ['1.5MB', 1_500_000, '1.5MB'],
  ['1KiB', 1024, '1.0kB'],
  ['2GiB', 2 * 1024 ** 3, '2.1GB'],
  ['5k', 5000, '5.0kB'],
];
for (const [text, bytes, canonical] of sizes) {
  test(`size ${text}`, () => {
    assert.equal(parseBytes(text), bytes);
    assert.equal(printBytes(bytes), canonical);
    assert.equal(printBytes(parseBytes(canonical)!), canonical);
  });
}

const strings: [literal: string, value: string | undefined][] = [
  ['"plain"', 'plain'],
  ['`raw \\n "x"`', 'raw \\n "x"'],
  ['"\\"q\\" \\\\ \\n\\t"', '"q" \\ \n\t'],
  ['"\\u0071\\U0001F600"', 'q😀'],
  ['"\\xc3\\xa9\\303\\251"', 'éé'],
  ['"\\xff"', '\ufffd'],
  ['"\\d"', undefined],
  ['"\\\'"', undefined],
  ['"\\400"', undefined],
  ['"\\ud800"', undefined],
];
for (const [literal, value] of strings) test(`string ${literal}`, () => assert.equal(unquoteGo(literal), value));

const numbers: [value: number, number: string, sample: string][] = [
  [1, '1', '1'],
  [-0.5, '-0.5', '-0.5'],
  [0.1 + 0.2, '0.30000000000000004', '0.30000000000000004'],
  [1e21, '1e+21', '1000000000000000000000'],
  [1.25e22, '1.25e+22', '12500000000000000000000'],
  [1.5e-7, '1.5e-07', '0.00000015'],
  [5e-324, '5e-324', `0.${'0'.repeat(323)}5`],
  [-0, '-0', '-0'],
  [Number.NaN, 'NaN', 'NaN'],
  [Number.POSITIVE_INFINITY, '+Inf', '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf', '-Inf'],
];
for (const [value, number, sample] of numbers) {
  test(`number ${number}`, () => {
    assert.equal(printNumber(value), number);
    assert.equal(printSample(value), sample);
  });
}
