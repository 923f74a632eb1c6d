import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { referencePage } from '../../ops/reference.ts';
import { sections } from '../../ops/sections.ts';

const page = new URL('../../OPTIONS.md', import.meta.url);

test('OPTIONS.md is what the table of options says (REFERENCE=write makes it so)', () => {
  const wanted = referencePage(sections);
  if (process.env.REFERENCE === 'write') writeFileSync(page, wanted);
  assert.equal(readFileSync(page, 'utf8'), wanted);
});
