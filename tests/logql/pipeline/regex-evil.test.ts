import assert from 'node:assert/strict';
import test from 'node:test';
import { compilePipeline } from '../../../logql/pipeline/compile.ts';
import { compileRegex } from '../../../logql/pipeline/regex.ts';
import { parseLogQuery } from '../../../logql/syntax/parse.ts';
import { EVIL_PATTERNS } from '../../support/evil-patterns.ts';
import { REGEX_PATHS } from '../../support/regex-paths.ts';
import { regexRuns } from '../../support/regex-runs.ts';
import { kept, randomFrom, run } from './block-of.ts';

/** A pattern that backtracks does not end within years; the slowest of ours takes a second. */
const KILL_MS = 60_000;
const MIB = 1024 * 1024;

test('regex: there are 200 evil patterns', () => assert.equal(new Set(EVIL_PATTERNS.map(({ pattern }) => pattern)).size, 200));

for (const path of Object.keys(REGEX_PATHS)) {
  // `npm run bench -- --regex` measures that the time is in proportion to the text.
  test(`regex: evil text ends on a worker thread, ${path}`, async () => {
    const size = path.startsWith('line filter') ? MIB : MIB / 8;
    const jobs = EVIL_PATTERNS.map((_, evil) => ({ path, evil, sizes: [size], runs: 1 }));
    for await (const [{ evil }, outcome] of regexRuns(jobs, KILL_MS)) {
      const { pattern } = EVIL_PATTERNS[evil];
      assert.notEqual(outcome, 'killed', pattern);
      if (typeof outcome === 'object' && 'refused' in outcome) assert.match(outcome.refused, /more than 2000 nodes/, pattern);
    }
  });
}

const OPTIONS = { anchored: false, dotNewline: false };

test('regex: a pattern that finds ever new states is refused by the steps it takes', () => {
  const random = randomFrom(1);
  const text = Buffer.from(Array.from({ length: 256 * 1024 }, () => (random() < 0.5 ? 'a' : 'b')).join(''));
  const regex = compileRegex('[ab]*a[ab]{900}c', OPTIONS);
  const refused = { code: 'limit_exceeded', message: 'regular expression too costly: it takes more than 10000000 steps on one line' };
  assert.throws(() => regex.test(text, 0, text.length), refused);
  assert.equal(regex.test(text, 0, 2_000), false); // it is not spoilt
});

test('regex: matches that each look at all of the text are refused by its length', () => {
  const text = Buffer.from('a'.repeat(64 * 1024));
  const all = compileRegex('a(?:.*b)?', OPTIONS).allCaptures(text);
  assert.throws(() => [...all], {
    code: 'limit_exceeded',
    message: /^regular expression too costly: its matches in a text of 65536 bytes overlap too far$/,
  });
  assert.equal([...compileRegex('a(?:.*b)?', OPTIONS).allCaptures(text.subarray(0, 1_000))].length, 1_000);
});

test('regex: where a template brings the pattern, its entries get an error and the query goes on', () => {
  const lines = ['a'.repeat(64 * 1024), 'ab'];
  const found = run('{app="a"} | line_format `{{ regexReplaceAll "a(?:.*b)?" __line__ "x" }}`', lines);
  assert.deepEqual(
    found.map(({ line, error }) => [line.length, error]),
    [
      [64 * 1024, 'TemplateFormatErr'],
      [1, ''],
    ],
  );
});

test('regex: a long alternation of plain texts is not too large', () => {
  const words = Array.from({ length: 3_000 }, (_, at) => `pod-${at}-${(at * 7919) % 1000}`);
  assert.deepEqual(kept(`{app="a"} |~ "${words.join('|')}"`, ['x pod-2999-81 x', 'pod-x']), ['x pod-2999-81 x']);
});

test('regex: what expands too far is refused in every stage that takes a pattern', () => {
  for (const stage of ['|~ "PATTERN"', '!~ "PATTERN"', '| regexp "(?P<x>PATTERN)"', '| x=~"PATTERN"', '| drop x=~"PATTERN"']) {
    const query = `{app="a"} ${stage.replace('PATTERN', '(?:a{40}){1,25}b{1000}c{1000}')}`;
    assert.throws(() => compilePipeline(parseLogQuery(query).stages, { observed: 'all' }), {
      code: 'limit_exceeded',
      message: /repetitions expand to more than 2000 nodes/,
    });
  }
});
