import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestServer } from '../support/server.ts';

const folder = fileURLToPath(new URL('../conformance/', import.meta.url));
const failingFile = join(folder, 'failing.txt');
const shrink = process.env.CONFORMANCE === 'shrink';

interface Outcome {
  id: string;
  category: string;
  result: 'passed' | 'failed' | 'skipped';
  difference?: string | null;
}

const categories = readdirSync(join(folder, 'cases'))
  .map((file) => basename(file, '.json'))
  .filter((name) => name !== 'dataset');

let outcomes: Outcome[];
let failing: Set<string>;
let deviations: Record<string, string>;

before(async () => {
  failing = new Set((await readFile(failingFile, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#')));
  deviations = JSON.parse(await readFile(join(folder, 'deviations.json'), 'utf8'));
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-conformance-'));
  await using server = await TestServer.start({ flags: ['-validation.reject-old-samples=false'] });
  const results = join(scratch, 'results.json');
  const runner = spawn(process.execPath, [join(folder, 'run.mjs'), '--url', server.url, '--push', '--json', results]);
  const [printed, complaints] = await Promise.all([text(runner.stdout), text(runner.stderr)]);
  // The runner's exit code only says whether any case failed; without results it did not get that far.
  outcomes = JSON.parse(
    await readFile(results, 'utf8').catch(() => assert.fail(`the runner ended early\n${printed}${complaints}${server.process.output}`)),
  );
  await rm(scratch, { recursive: true });
});

after(async () => {
  if (!shrink) return;
  const passed = new Set(idsOf('passed'));
  const lines = (await readFile(failingFile, 'utf8')).split('\n');
  await writeFile(failingFile, lines.filter((line) => !passed.has(line)).join('\n'));
});

const idsOf = (result: Outcome['result']): string[] => outcomes.filter((outcome) => outcome.result === result).map(({ id }) => id);

for (const category of categories) {
  test(`conformance: ${category}`, (context) => {
    const mine = outcomes.filter((outcome) => outcome.category === category && outcome.result !== 'skipped');
    assert.ok(mine.length > 0, 'no case ran');
    const unexpected = mine.filter(({ id, result }) => result === 'failed' && !failing.has(id) && !Object.hasOwn(deviations, id));
    context.diagnostic(`${category}: ${mine.filter(({ result }) => result === 'passed').length} of ${mine.length} pass`);
    assert.deepEqual(
      unexpected.map(({ id, difference }) => `${id}: ${difference}`),
      [],
    );
  });
}

test('conformance: the lists of exceptions hold no case that passes, and none that is not there', () => {
  const listed = [...(shrink ? [] : failing), ...Object.keys(deviations)];
  const passed = new Set(idsOf('passed'));
  const known = new Set(outcomes.map(({ id }) => id));
  assert.deepEqual(
    listed.filter((id) => passed.has(id)),
    [],
    'these pass: take them out of failing.txt (CONFORMANCE=shrink does) or deviations.json',
  );
  assert.deepEqual(
    listed.filter((id) => !known.has(id)),
    [],
    'there are no such cases',
  );
  assert.deepEqual(
    Object.keys(deviations).filter((id) => failing.has(id)),
    [],
    'these are in both lists',
  );
});
