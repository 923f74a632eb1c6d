import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLabels } from '../../logql/labels-text.ts';
import { formatLabels, type Labels } from '../../logql/model.ts';

const LABELS: readonly Labels[] = [
  [],
  [['app', 'a']],
  [
    ['a', 'x, y="z"}'],
    ['b.c', '\\'],
    ['d"e\\', '{a="b"}'],
  ],
  [
    ['a', '\n\r\t\x00\x07\x7f\u0085\u2028\u{e0001}'],
    ['ü', 'é€😀\ufffd'],
  ],
  [['__proto__', "'`"]],
];

for (const labels of LABELS) {
  test(`labels are read back from ${formatLabels(labels)}`, () => {
    assert.deepEqual(parseLabels(formatLabels(labels)), labels);
    assert.ok(!formatLabels(labels).includes('\n'));
  });
}

test('half of a surrogate pair becomes a replacement character', () => {
  assert.deepEqual(parseLabels(formatLabels([['a', 'x\ud800y']])), [['a', 'x\ufffdy']]);
});

for (const text of ['{a}', '{a="x}', '{="x"', '{a="x" b="y"}', 'a="x"']) {
  test(`not the text of labels: ${text}`, () => {
    assert.throws(() => parseLabels(text), { code: 'internal' });
  });
}
