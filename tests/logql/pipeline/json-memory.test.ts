import assert from 'node:assert/strict';
import test from 'node:test';
import type { Block } from '../../../logql/model.ts';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { EntryLabels } from '../../../logql/pipeline/entry-labels.ts';
import { closingQuote, plainEnd, stringEnd, tokenEnd, unescapedText, viewOf } from '../../../logql/pipeline/json-bytes.ts';
import { hashByte, KeyLiteral, KeyTable } from '../../../logql/pipeline/key-table.ts';
import { TextTable } from '../../../logql/pipeline/text-table.ts';
import { Wanted } from '../../../logql/pipeline/wanted.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { blockOf, randomFrom, run } from './block-of.ts';

/** Lines that one pipeline reads one after the other; each must give what it gives alone. */
const sequences: [what: string, lines: (string | Buffer)[]][] = [
  ['the same keys', ['{"a":"x","b":1,"path":"/y"}', '{"a":"z","b":22,"path":"/w"}']],
  ['a key more, a key less', ['{"a":1,"b":2,"path":3}', '{"a":1,"n":"new","b":2,"path":3}', '{"a":1,"path":3}', '{"path":3}', '{}']],
  ['the line ends within the key that is expected', ['{"a":1,"path":2}', '{"a":1,"pa', '{"a":1,"path":', '{"a":1,"path"', '{"a":1,']],
  ['another comes in the middle of the line', ['{"a":1,"b":2,"path":3}', '{"a":1;"b":2,"path":3}', '{"a":1,"b";2,"path":3}']],
  ['a key that begins or ends as the expected one', ['{"a":1,"path":2}', '{"a":1,"paths":2}', '{"a":1,"xpath":2}', '{"a":1,"path\\"":2}']],
  ['a key that escapes spell', ['{"a":1,"path":2}', '{"\\u0061":1,"p\\u0061th":2}', '{"a":1,"path":3}']],
  ['a key with a quote in it', ['{"a\\"b":1,"path":2}', '{"a"b":1,"path":2}', '{"a\\"b":1,"path":2}']],
  ['a string with an escaped quote', ['{"a":"x","path":"y"}', '{"a":"x\\",\\"path\\":\\"no","path":"y"}', '{"a":"\\\\","path":"\\\\"}']],
  ['a value that looks like the next key', ['{"a":"path","path":"y"}', '{"a":"path":"x","path":"y"}', '{"a":"path","path":"z"}']],
  ['an object where there was a string', ['{"a":"x","path":"y"}', '{"a":{"path":"in","a":1},"path":"y"}', '{"a":"x","path":{"a":1}}']],
  ['the same key inside and outside', ['{"o":{"path":1},"path":2}', '{"path":2,"o":{"path":1}}', '{"o":{"path":1}}', '{"o":{},"path":2}']],
  ['a step, then fields that are none', ['{"o":1,"x":1,"y":{"path":5}}']],
  ['an object that does not close', ['{"a":{"path":1},"path":2}', '{"a":{"path":1,"path":2', '{"a":1{"path":2}}', '{"a":"x"{"path":2}}']],
  ['white space', ['{"a":1,"path":2}', '{ "a" : 1 , "path" : 2 }', '{"a": "x", "path": "y"}', '{"a":1 ,"path":2}']],
  ['a string that does not close', ['{"a":"x","path":"y"}', '{"a":"x,', '{"a":"x","path":"y', '{"a":"x\\', '{"a":"x"']],
  ['bytes that are not UTF-8', ['{"a":1,"path":2}', Buffer.from('{"\xff":1,"path":"\xfe"}', 'latin1'), '{"\ufffd":3,"path":"\ufffd"}']],
  ['a number with something behind it', ['{"a":1,"path":2}', '{"a":1x,"path":2}', '{"a":1"b","path":2}', '{"a":1]"path":2}']],
  ['a scalar and a string of the same bytes', ['{"path":1}', '{"path":"1"}', '{"path":1\\u0041}', '{"path":"1\\u0041"}']],
];
const queries: [stages: string, observed: string[] | undefined][] = [
  ['| json', undefined],
  ['| json', ['path']],
  ['| json', ['o_path', 'b']],
  ['| json | path >= 2', []],
  ['| json path', ['path']],
  ['| json b, p="path"', undefined],
  ['| json p="o.path", q="a.path"', undefined],
];
for (const [what, lines] of sequences) {
  test(`json: lines are read as if each was the first: ${what}`, () => {
    for (const [stages, names] of queries) {
      const options = names === undefined ? {} : { observed: new Set(names) };
      const seen = (of: readonly (string | Buffer)[]) =>
        run(`{app="a"} ${stages}`, of, options).map(({ labels, error }) => ({ labels, error }));
      const alone = lines.flatMap((line) => seen([line]));
      assert.deepEqual(seen([...lines, ...lines]), [...alone, ...alone], stages);
      assert.deepEqual(seen(lines.toReversed()), alone.toReversed(), stages);
    }
  });
}

test('json: lines of one shape give what JSON.parse gives', () => {
  const random = randomFrom(11);
  const values = ['', 'x', 'ab', 'abc', 'abcd', 'abcde', 'twelve bytes', 'q"uote', 'back\\slash', 'é☕', '"', '\\', '\\"', '200'];
  const pick = () => values[Math.floor(random() * values.length)];
  const objects = Array.from({ length: 500 }, (_, at) => ({ a: pick(), n: at, long_key_name: pick(), path: pick(), last: pick() }));
  const lines = objects.map((object) => JSON.stringify(object));
  assert.deepEqual(
    run('{app="a"} | json', lines).map(({ labels }) => labels),
    objects.map((object) => ({ ...object, n: String(object.n) })),
  );
  for (const stages of ['| json', '| json path']) {
    assert.deepEqual(
      run(`{app="a"} ${stages}`, lines, { observed: new Set(['path']) }).map(({ labels }) => labels),
      objects.map(({ path }) => ({ path })),
    );
  }
});

test('json: the end of a string is found at every distance, whatever the bytes before it', () => {
  const random = randomFrom(5);
  // Among others the neighbours of a quote and of a backslash, and what differs from them in the highest bit.
  const near = [0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0xa2, 0xdc, 0x00, 0x01, 0x80, 0xff, 0x61, 0x61, 0x61, 0x61];
  for (let count = 0; count < 20_000; count++) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 24) }, () => near[Math.floor(random() * near.length)]));
    const from = Math.floor(random() * (bytes.length + 1));
    const end = from + Math.floor(random() * (bytes.length - from + 1));
    const view = viewOf(bytes);
    assert.equal(stringEnd(bytes, view, from, end), closingQuote(bytes, from, end), bytes.toString('hex'));
    const plain = bytes.subarray(from, end).findIndex((byte) => byte === 0x22 || byte === 0x5c);
    assert.equal(plainEnd(view, from, end), plain < 0 ? end : from + plain, bytes.toString('hex'));
  }
});

test('json: a token ends at white space, a comma or a closing bracket', () => {
  const ends = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => tokenEnd(Buffer.of(byte), 0, 1) === 0);
  assert.deepEqual(ends, [0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x5d, 0x7d]);
  assert.equal(tokenEnd(Buffer.from('12,'), 0, 2), 2);
});

test('keys: a literal is found only where all of it stands', () => {
  for (const key of ['a', 'ab', 'abc', 'abcd', 'abcde', 'a much longer key', 'é']) {
    const literal = new KeyLiteral(`"${key}":`);
    const line = Buffer.from(`{"${key}":1}`);
    const view = viewOf(line);
    assert.equal(literal.isAt(view, 1, line.length), true);
    assert.equal(literal.isAt(view, 1, literal.length), false, 'the line ends before');
    assert.equal(literal.isAt(view, 0, line.length), false);
    for (let at = 1; at <= literal.length; at++) {
      const other = Buffer.from(line);
      other[at] ^= 1;
      assert.equal(literal.isAt(viewOf(other), 1, other.length), false, `${key} at ${at}`);
    }
  }
});

test('keys: those that are forgotten keep no others alive', () => {
  const table = new KeyTable(new Wanted(undefined), () => undefined);
  const find = (key: string) => {
    const bytes = Buffer.from(key);
    return table.find(bytes, 0, bytes.length, bytes.reduce(hashByte, 0), undefined);
  };
  const first = find('first');
  first.follower = find('second');
  for (let count = 0; count < 20_000; count++) find(`key${count}`);
  assert.notEqual(find('first'), first);
  assert.equal(first.follower, undefined);
});

test('texts: a range that recurs gives the same text, and each its own', () => {
  let decoded = 0;
  const table = new TextTable((bytes, from, to) => {
    decoded++;
    return unescapedText(bytes, from, to);
  });
  const of = (text: string) => table.of(Buffer.from(`<${text}>`), 1, 1 + Buffer.byteLength(text));
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(['a', 'b', 'a\\n', 'é', '', 'x'.repeat(65)].map(of), ['a', 'b', 'a\n', 'é', '', 'x'.repeat(65)]);
  }
  assert.equal(decoded, 8); // the empty text and the long one twice
  for (let round = 0; round < 2; round++) for (let count = 0; count < 5_000; count++) assert.equal(of(`value ${count}`), `value ${count}`);
});

test('json: a name that was free in one block may be taken in the next', () => {
  const bound = compilePipeline(parseLogQuery('{app="a"} | json').stages, { observed: 'all' }).forStream([['app', 'a']]);
  const parsed = (block: Block) => bound.apply(block, 0)!.labelSet().parsed;
  assert.deepEqual(parsed(blockOf(['{"pod":"x"}'])), [['pod', 'x']]);
  assert.deepEqual(parsed(blockOf(['{"pod":"x"}'], [{ pod: 'm' }])), [['pod_extracted', 'x']]);
  assert.deepEqual(parsed(blockOf(['{"pod":"x"}'])), [['pod', 'x']]);
});

test('labels: what one entry was given is not there for the next', () => {
  const labels = new EntryLabels();
  labels.set('a', '1');
  labels.set('b', '2');
  labels.set('a', '3');
  assert.deepEqual(labels.pairs(), [
    ['a', '3'],
    ['b', '2'],
  ]);
  labels.delete('a');
  assert.deepEqual([labels.get('a'), labels.has('a'), labels.wasSet('a'), labels.everSet], [undefined, false, true, 2]);
  labels.set('c', '4');
  labels.set('a', '5');
  assert.deepEqual(labels.pairs(), [
    ['b', '2'],
    ['c', '4'],
    ['a', '5'],
  ]);
  assert.equal(labels.everSet, 3);
  labels.clear();
  assert.deepEqual([labels.pairs(), labels.get('a'), labels.wasSet('b'), labels.everSet], [[], undefined, false, 0]);
  labels.delete('a');
  labels.set('c', '');
  assert.deepEqual(labels.pairs(), [['c', '']]);
  assert.deepEqual([labels.has('c'), labels.has('b'), labels.wasSet('a')], [true, false, false]);
});

test('labels: an entry may have any number of names, and so may all of them together', () => {
  const labels = new EntryLabels();
  for (let entry = 0; entry < 5; entry++) {
    for (let count = 0; count < 5_000; count++) labels.set(`n${entry}_${count}`, `${count}`);
    assert.equal(labels.pairs().length, 5_000);
    assert.equal(labels.get(`n${entry}_4999`), '4999');
    labels.clear();
    assert.equal(labels.has(`n${entry}_4999`), false);
  }
});
