import assert from 'node:assert/strict';
import { test } from 'node:test';
import { check, corpusOf, type Finding, Mutator } from './fuzzer.ts';
import { targets } from './targets.ts';

const ITERATIONS = 1_500;

function holds(finding: Finding | undefined): void {
  if (finding !== undefined)
    assert.fail(`${finding.error instanceof Error ? finding.error.stack : finding.error}\ninput: ${finding.input.toString('base64')}`);
}

for (const target of targets) {
  test(`fuzz: ${target.name}`, async () => {
    const corpus = corpusOf(target);
    assert.ok(corpus.length > 0);
    for (const input of corpus) holds(await check(target, input));
    const mutator = new Mutator(corpus, 1);
    for (let count = 0; count < ITERATIONS; count++) holds(await check(target, mutator.input()));
  });
}

test('fuzz: an error that is no Fault is found', async () => {
  const target = { name: 'broken', corpus: 'lines', run: () => JSON.parse('{') };
  assert.ok((await check(target, Buffer.from('x')))?.error instanceof SyntaxError);
});

test('fuzz: the same seed gives the same inputs', () => {
  const inputs = (seed: number): Buffer[] => {
    const mutator = new Mutator([Buffer.from('one input'), Buffer.from('{"another":1}')], seed);
    return Array.from({ length: 50 }, () => mutator.input());
  };
  assert.deepEqual(inputs(7), inputs(7));
  assert.notDeepEqual(inputs(7), inputs(8));
});
