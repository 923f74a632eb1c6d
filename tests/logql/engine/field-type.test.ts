import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparableSize, type FieldType, fieldType } from '../../../logql/engine/field-type.ts';

const types: [type: FieldType, ...values: string[]][] = [
  ['int', '0', '-5', '+7', '007', '1', '9223372036854775807', '-9223372036854775808', '00000000000000000000000001'],
  [
    'float',
    '9223372036854775808',
    '-9223372036854775809',
    '1.5',
    '.5',
    '5.',
    '1e3',
    'NaN',
    'inf',
    '-Infinity',
    '0x1p-2',
    '1_000',
    '1_0.5_0e1_0',
    '0x_1F_0p3',
  ],
  ['boolean', 't', 'TRUE', 'true', 'True', 'F', 'false', 'f'],
  ['duration', '5ms', '1h30m', '-2s', '1.5h', '1µs', '+3m'],
  ['bytes', '5KB', '5 kB', '1.5MiB', '10B', '1,000', '7k', '2E', '3 gib'],
  [
    'string',
    '',
    ' ',
    'tRUE',
    'yes',
    '5 apples',
    '1h30',
    '1-2',
    '1.2.3',
    '0x10',
    '1__0',
    '_1',
    '1_',
    '1_.5',
    '1e_5',
    '1d',
    '99999E',
    '-5KB',
    '1e999',
  ],
];
for (const [type, ...values] of types) {
  for (const value of values) test(`${JSON.stringify(value)} is ${type}`, () => assert.equal(fieldType(value), type));
}

test('a number of many digits is read in no time', () => {
  assert.equal(fieldType('1'.repeat(300_000)), 'string'); // beyond a float64
  assert.equal(fieldType('0'.repeat(300_000)), 'int');
});

const sizes: [value: string, printed: string][] = [
  ['5KB', '5.0kB'],
  ['1.5 KiB', '1.5kB'],
  ['12MiB', '13MB'],
  ['9B', '9B'],
  ['1000MB', '1.0GB'],
  ['999.96kB', '1000kB'],
  ['3eb', '3.0EB'],
  ['512', '512'], // without a unit it is a number
  ['1,000', '1,000'],
  ['web', 'web'],
  ['5 apples', '5 apples'],
  ['', ''],
];
for (const [value, printed] of sizes)
  test(`${JSON.stringify(value)} is offered as ${printed}`, () => assert.equal(comparableSize(value), printed));
