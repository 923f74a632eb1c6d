import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTelling } from '../../../logql/engine/detected-labels.ts';

const ID = '0af76519-16cd-43dd-8448-eb211c80319c';
const cases: [kept: boolean, what: string, name: string, values: string[]][] = [
  [true, 'words', 'app', ['web', 'api']],
  [true, 'one word among numbers', 'port', ['80', '443', 'none']],
  [true, 'an empty value', 'a', ['', '5']],
  [true, 'yes and no', 'leader', ['0', '1']],
  [true, 'only yes', 'leader', ['1']],
  [true, 'numbers of a place', 'pod', ['1', '2', '3']],
  [true, 'ids of a place', 'instance', [ID]],
  [true, 'ids of a cluster', 'cluster', [ID]],
  [true, 'ids of a namespace', 'namespace', [ID]],
  [true, 'nearly an id', 'id', [`${ID}0`]],
  [true, 'an id with a dash moved', 'id', ['0af765191-6cd-43dd-8448-eb211c80319c']],
  [false, 'nothing', 'app', []],
  [false, 'nothing of a place', 'pod', []],
  [false, 'numbers', 'shard', ['0', '1', '2']],
  [false, 'two numbers', 'shard', ['1', '2']],
  [false, 'one number', 'shard', ['7']],
  [false, 'floats', 'version', ['1.5', '-2e3', 'NaN', 'Inf']],
  [false, 'ids', 'trace', [ID, ID.toUpperCase()]],
  [false, 'ids in every form', 'trace', [`urn:uuid:${ID}`, `{${ID}}`, ID.replaceAll('-', '')]],
  [false, 'ids and numbers', 'trace', [ID, '5']],
];
for (const [kept, what, name, values] of cases) {
  test(`a label of ${what} is ${kept ? 'kept' : 'left out'}`, () => assert.equal(isTelling(name, new Set(values)), kept));
}
