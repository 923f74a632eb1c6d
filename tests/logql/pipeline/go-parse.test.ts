import assert from 'node:assert/strict';
import test from 'node:test';
import { parseGoDuration, parseGoFloat, parseHumanBytes } from '../../../logql/pipeline/go-parse.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

const read = { float: parseGoFloat, duration: parseGoDuration, bytes: parseHumanBytes };

const values: [as: keyof typeof read, text: string, value: number][] = [
  ['float', '1_000.5', 1000.5],
  ['float', '+Inf', Number.POSITIVE_INFINITY],
  ['float', '-infinity', Number.NEGATIVE_INFINITY],
  ['float', '0x1p-2', 0.25],
  ['float', '0x_1p4', 16],
  ['duration', '1h2m3.5s', 3_723_500_000_000],
  ['duration', '-1.5h', -5_400_000_000_000],
  ['duration', '.5s', 500_000_000],
  ['duration', '+0', 0],
  ['duration', '9223372036854775807ns', 2 ** 63],
  ['bytes', '1KiB', 1024],
  ['bytes', '1,000 kB', 1_000_000],
  ['bytes', '1.5', 1],
];
for (const [as, text, value] of values) test(`${as} "${text}" is ${value}`, () => assert.equal(read[as](text), value));

const refused: [as: keyof typeof read, text: string, message: string][] = [
  ['float', '1__0', 'strconv.ParseFloat: parsing "1__0": invalid syntax'],
  ['float', '1e_5', 'strconv.ParseFloat: parsing "1e_5": invalid syntax'],
  ['float', '1e400', 'strconv.ParseFloat: parsing "1e400": value out of range'],
  ['duration', '', 'time: invalid duration ""'],
  ['duration', '5', 'time: missing unit in duration "5"'],
  ['duration', '99999999999999999999', 'time: invalid duration "99999999999999999999"'],
  ['duration', '9223372036854775808ns', 'time: invalid duration "9223372036854775808ns"'],
  ['duration', '1d', 'time: unknown unit "d" in duration "1d"'],
  ['duration', '1é', 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'],
  ['bytes', 'KB', 'strconv.ParseFloat: parsing "": invalid syntax'],
  ['bytes', '1x', 'unhandled size name: x'],
  ['bytes', '99999E', 'too large: 99999E'],
];
for (const [as, text, message] of refused) test(`${as} "${text}" is refused`, () => assert.throws(() => read[as](text), { message }));

test('durations read fast are what they are read slowly, or as wrong', () => {
  const random = new QueryGenerator(1);
  const digits = () => Array.from({ length: random.int(9) }, () => random.int(10)).join('');
  const part = () =>
    digits() +
    random.pick(['', '', '.', `.${digits()}`]) +
    random.pick(['ns', 'us', 'µs', 'μs', 'ms', 's', 'm', 'h', 'h', '', 'd', 'sm', 'é']);
  const outcome = (text: string): number | string => {
    try {
      return parseGoDuration(text);
    } catch (error) {
      return (error as Error).message.replaceAll('"+', '"');
    }
  };
  let numbers = 0;
  for (let turn = 0; turn < 20_000; turn++) {
    const text = Array.from({ length: 1 + random.int(3) }, part).join('');
    const fast = outcome(text);
    assert.deepEqual(fast, outcome(`+${text}`), text); // a sign goes the slow way
    if (typeof fast === 'number') numbers++;
  }
  assert.ok(numbers > 5_000);
});
