import assert from 'node:assert/strict';
import test from 'node:test';
import { compileFilterMatcher, compileLineRegex, compileMatcher, compileRegex, validateRegex } from '../../../logql/pipeline/regex.ts';
import type { Fault } from '../../../ops/base/fault.ts';

const faults: [pattern: string, message: string][] = [
  ['(a', 'error parsing regexp: missing closing ): `(a`'],
  ['a)', 'error parsing regexp: unexpected ): `a)`'],
  ['[a', 'error parsing regexp: missing closing ]: `[a`'],
  ['a**', 'error parsing regexp: invalid nested repetition operator: `**`'],
  ['*', 'error parsing regexp: missing argument to repetition operator: `*`'],
  ['a|*', 'error parsing regexp: missing argument to repetition operator: `*`'],
  ['a{2,1}', 'error parsing regexp: invalid repeat count: `{2,1}`'],
  ['a{1001}', 'error parsing regexp: invalid repeat count: `{1001}`'],
  ['(a{100}){11}', 'error parsing regexp: invalid repeat count: `{11}`'],
  ['\\8', 'error parsing regexp: invalid escape sequence: `\\8`'],
  ['(?P<n', 'error parsing regexp: invalid named capture: `(?P<n`'],
  ['(?P<>a)', 'error parsing regexp: invalid named capture: `(?P<>`'],
  ['(?=a)', 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
  ['[b-a]', 'error parsing regexp: invalid character class range: `b-a`'],
  ['\\p{Foo}', 'error parsing regexp: invalid character class range: `\\p{Foo}`'],
  ['x\\', 'error parsing regexp: trailing backslash at end of expression: ``'],
];
for (const [pattern, message] of faults) {
  test(`regex: ${pattern} is refused`, () => {
    assert.throws(
      () => validateRegex(pattern),
      (fault: Fault) => fault.code === 'parse_error' && fault.message === message,
    );
  });
}

test('regex: repetitions that expand too far are refused by the limit', () => {
  assert.throws(() => compileRegex('(?:a{30}){1,30}b{1000}c{999}', { anchored: false, dotNewline: false }), { code: 'limit_exceeded' });
});

const cases: [pattern: string, text: string, matches: boolean][] = [
  ['^.$', 'é', true],
  ['^[^a]$', '☕', true],
  ['^..$', 'é', false],
  ['\\s', 'à', false],
  ['\\s', '\v', false],
  ['^.$', '\xff', true],
  ['(?i)straße', 'STRAßE', true],
  ['(?i)k', '\u212a', true],
  ['(?i)[^k]', '\u212a', false],
  ['\\pL+ß', 'Straße', true],
  ['^\\p{Greek}+$', 'σίσυφος', true],
  ['[[:upper:]]{2}', 'aBCd', true],
  ['\\Qa.b\\E+', 'a.bbb', true],
  ['\\x{1F98A}', '🦊', true],
  ['\\101', 'A', true],
  ['a{2,3}$', 'aaaa', true],
  ['^a{2,3}$', 'aaaa', false],
  ['a{,2}', 'a{,2}', true],
  ['(?U)^a+?$', 'aaa', true],
  ['(?m)^b$', 'a\nb', true],
  ['^b$', 'a\nb', false],
  ['(?s)a.b', 'a\nb', true],
  ['a.b', 'a\nb', false],
  ['\\Aab\\z', 'ab', true],
  ['a\\Bb', 'ab', true],
  ['\\Bé', 'é', true],
  ['a\\b', 'aé', true],
  ['[]a]', ']', true],
  ['[a\\-z]', 'b', false],
];
for (const [pattern, text, matches] of cases) {
  test(`regex: ${pattern} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    const bytes = text === '\xff' ? Buffer.from([0xff]) : Buffer.from(text);
    assert.equal(compileRegex(pattern, { anchored: false, dotNewline: false }).test(bytes, 0, bytes.length), matches);
  });
}

test('regex: captures are byte ranges, in branches and optional parts too', () => {
  const regex = compileRegex('é(?P<word>\\w+)(?: (\\d)|-(?<tail>.))?', { anchored: false, dotNewline: false });
  assert.deepEqual(regex.names, ['', 'word', '', 'tail']);
  const bytes = Buffer.from('☕éab-ü');
  assert.deepEqual([...regex.captures(bytes, 0, bytes.length)!], [3, 10, 5, 7, -1, -1, 8, 10]);
  assert.equal(regex.captures(bytes, 0, 4), undefined);
});

test('regex: what it must contain is known', () => {
  const literals = (pattern: string) => compileRegex(pattern, { anchored: false, dotNewline: false }).literals;
  assert.deepEqual(literals('foo(bar)+baz|x'), []);
  assert.deepEqual(literals('a(bc)d.*(?:ef)+g?'), ['abcd', 'ef']);
  assert.deepEqual(literals('(?i)ab1'), ['1']);
});

test('regex: rows match each for itself, whatever the neighbouring lines hold', () => {
  const lines = ['abc', '12', 'b3', '', 'xb', '3x', 'ab12'];
  const ends = Uint32Array.from(lines, (_, row) => lines.slice(0, row + 1).join('').length);
  const column = Buffer.from(lines.join(''));
  const rows = (pattern: string, among = [0, 1, 2, 3, 4, 5, 6]) => {
    const narrowed = Uint32Array.from(among);
    const regex = compileRegex(pattern, { anchored: false, dotNewline: false });
    return [...narrowed.subarray(0, regex.rowsMatching(column, ends, narrowed, among.length))];
  };
  assert.deepEqual(rows('[a-c][0-9]'), [2, 6]);
  assert.deepEqual(rows('[a-c][0-9]', [0, 1, 3, 6]), [6]);
  assert.deepEqual(rows('b3'), [2]);
  assert.deepEqual(rows('^[0-9]'), [1, 5]);
  assert.deepEqual(rows('[b-x]$'), [0, 4, 5]);
  assert.deepEqual(rows('^$'), [3]);
  assert.deepEqual(rows('.*'), [0, 1, 2, 3, 4, 5, 6]);
});

test('regex: the end of a line and the start of the next make no character', () => {
  const halves = [Buffer.from([0x61, 0xc3]), Buffer.from([0xa9]), Buffer.from('b')];
  const rows = Uint32Array.of(0, 1, 2);
  const count = compileRegex('[^a-zé]', { anchored: false, dotNewline: false }).rowsMatching(
    Buffer.concat(halves),
    Uint32Array.of(2, 3, 4),
    rows,
    3,
  );
  assert.deepEqual([...rows.subarray(0, count)], [0, 1]);
});

const matchers: [op: '=~' | '!~', pattern: string, value: string, matches: boolean][] = [
  ['=~', 'a|b(c|d)', 'bd', true],
  ['=~', 'a|b(c|d)', 'b', false],
  ['=~', 'a.*', 'ba', false],
  ['=~', '.*', '', true],
  ['!~', '.+', '', true],
  ['=~', '(?i)zürich', 'ZÜRICH', true],
  ['=~', 'a.b', 'a\nb', true],
];
for (const [op, value, text, matches] of matchers) {
  test(`matcher ${op} ${value}: ${matches ? 'takes' : 'refuses'} ${JSON.stringify(text)}`, () => {
    assert.equal(compileMatcher({ op, value })(text), matches);
  });
}

test('matcher of a label filter looks for the text in front of .* anywhere, and else for all of the value', () => {
  const test = (value: string, text: string) => compileFilterMatcher({ op: '=~', value })(text);
  assert.equal(test('a.*', 'xay'), true);
  assert.equal(test('.*b|a.*', 'xay'), true);
  assert.equal(test('a|b', 'xay'), false);
  assert.equal(test('a.', 'xay'), false);
  assert.equal(test('5..', '1500'), false);
  assert.equal(test('warn|warning', 'forewarned'), true);
  assert.equal(test('warn|error', 'forewarned'), false);
  assert.equal(test('foo|fob', 'a foo'), false); // fo[ob]
  assert.equal(test('foo|fox|bar', 'bars'), false);
  assert.equal(test('foo|foxes|bar', 'a fox'), false);
  assert.equal(test('foo|foxes|bar', 'foxes!'), true);
  assert.equal(test('err(or|ata)', 'an error!'), true);
  assert.equal(test('(un|de)known', 'unknowns'), false);
  assert.equal(test('|a', ''), false);
  assert.equal(test('', 'anything'), true);
});

test('regex: a line filter that is but a text without regard to case compares in lower case', () => {
  const test = (pattern: string, text: string) => compileLineRegex(pattern).test(Buffer.from(text), 0, Buffer.byteLength(text));
  assert.equal(test('(?i)łuk', 'ŁUKASZ'), true);
  assert.equal(test('(?i)ς', 'Σ'), false);
  assert.equal(test('(?i)(err|WARN)', 'a Warning'), true);
});
