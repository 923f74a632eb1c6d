import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Template, TemplateTree } from '../../../logql/patterns/template-tree.ts';
import { tokenizerFor } from '../../../logql/patterns/tokens.ts';

const tokenize = tokenizerFor('plain text', []);

function mined(lines: readonly string[], most = 300): { templates: string[]; forgotten: number } {
  const found = new Map<Template, number>();
  let forgotten = 0;
  const tree = new TemplateTree(most, (template) => {
    forgotten++;
    found.delete(template);
  });
  for (const line of lines) {
    const template = tree.add(tokenize(line)!);
    if (template !== undefined) found.set(template, (found.get(template) ?? 0) + 1);
  }
  return { templates: [...found].map(([{ tokens, write }, count]) => `${count} ${write(tokens)}`), forgotten };
}

const cases: [what: string, lines: string[], templates: string[]][] = [
  [
    'what differs becomes variable',
    ['cache miss for key 17', 'cache miss for key 4', 'cache miss for key ab'],
    ['3 cache miss for key <_>'],
  ],
  [
    'other first words are another template',
    ['flushed 3 pages to disk', 'flushed 40 pages to disk', 'dropped 3 pages to disk'],
    ['2 flushed <_> pages to disk', '1 dropped 3 pages to disk'],
  ],
  [
    'other lengths are another template',
    ['connection from a accepted', 'connection from a accepted twice'],
    ['1 connection from a accepted', '1 connection from a accepted twice'],
  ],
  ['too few tokens are none', ['only three tokens', 'a b c d'], ['1 a b c d']],
  ['too many tokens are none', ['x '.repeat(81).trim(), 'y '.repeat(80).trim()], [`1 ${'y '.repeat(80).trim()}`]],
  [
    'the more similar template is taken',
    ['id 1 went to north a a a', 'id 2 went to north b b b', 'id 3 left'],
    ['1 id 1 went to north a a a', '1 id 2 went to north b b b'],
  ],
];
for (const [what, lines, templates] of cases) test(`templates: ${what}`, () => assert.deepEqual(mined(lines).templates, templates));

test('a place with many different words becomes variable', () => {
  const words = Array.from(
    { length: 40 },
    (_, index) => String.fromCharCode(97 + (index % 26)) + String.fromCharCode(97 + Math.floor(index / 26)),
  );
  const { templates } = mined(words.flatMap((word) => [`user ${word} has logged in`, `user ${word} has logged in`]));
  assert.ok(templates.length <= 15, String(templates.length));
  assert.equal(templates.at(-1), `${2 * (40 - templates.length + 1)} user <_> has logged in`);
});

test('the template that was not seen for longest is forgotten', () => {
  const line = (word: string): string => `${word} is what this is about`;
  const { templates, forgotten } = mined([line('a'), line('b'), line('a'), line('c')], 2);
  assert.deepEqual([templates, forgotten], [['2 a is what this is about', '1 c is what this is about'], 1]);
});

test('lines without end of templates stop making new ones', () => {
  const lines = Array.from(
    { length: 20_000 },
    (_, index) => `${index.toString(26).replace(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)])} x y z w v u`,
  );
  assert.ok(mined(lines, 10).forgotten < 3_001);
});
