import assert from 'node:assert/strict';
import test from 'node:test';
import { PatternCaptures, parseCapturePattern } from '../../../logql/pipeline/line-pattern.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

/** By the rule, over text: literals in turn, each as early as it comes. */
function capturesOf(pattern: string, line: string): Record<string, string> {
  const parts = pattern.split(/<(\w+)>/); // literals, and names between them
  const found: Record<string, string> = {};
  if (line === '' || !line.startsWith(parts[0])) return found;
  let at = parts[0].length;
  for (let index = 1; index < parts.length; index += 2) {
    const literal = parts[index + 1];
    const hit = literal === '' ? line.length : line.indexOf(literal, at);
    if (parts[index] !== '_') found[parts[index]] = line.slice(at, hit < 0 ? line.length : hit);
    if (hit < 0) break;
    at = hit + literal.length;
  }
  return found;
}

test('captures are those of the rule, of all names and of some', () => {
  const random = new QueryGenerator(1);
  const text = (most: number) => Array.from({ length: 1 + random.int(most) }, () => random.pick(['a', 'b', ' ', '-', 'é'])).join('');
  let captured = 0;
  for (let turn = 0; turn < 20_000; turn++) {
    const names = Array.from({ length: 1 + random.int(4) }, (_, index) => `<${index > 0 && random.int(3) === 0 ? '_' : `n${index}`}>`);
    const pattern = random.pick(['', '.', text(2)]) + names.join('\0').replaceAll('\0', () => text(2)) + random.pick(['', text(2)]);
    const line = Buffer.from(`..${text(20)}..`);
    const [from, to] = [random.pick([1, 2]), line.length - random.pick([1, 2])];
    const expected = capturesOf(pattern, line.toString('utf8', from, to));
    const wanted = random.pick([['n0', 'n1', 'n2', 'n3'], ['n0'], ['n2']]);
    const found: Record<string, string> = {};
    const keep = (name: string, start: number, end: number) => {
      found[name] = line.toString('utf8', start, end);
      return true;
    };
    assert.ok(new PatternCaptures(parseCapturePattern(pattern), (name) => wanted.includes(name)).of(line, from, to, keep));
    assert.deepEqual(
      found,
      Object.fromEntries(Object.entries(expected).filter(([name]) => wanted.includes(name))),
      `${pattern} on ${line}`,
    );
    captured += Object.keys(found).length;
  }
  assert.ok(captured > 5_000, `${captured}`);
});
