import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../../ops/base/world-fake.ts';
import { groupOverlapping, type Unit } from '../../../storage/chunk/overlap.ts';

/** `1:5-9` is source 1 with times 5 to 9, both included. */
function unit(text: string): Unit & { text: string } {
  const [source, minNs, maxNs] = text.split(/[:-]/);
  return { text, source: Number(source), minNs: BigInt(minNs), maxNs: BigInt(maxNs) };
}

function grouped(units: readonly string[]): string[] {
  return groupOverlapping(units.map(unit)).map((group) => group.map(({ text }) => text).join(' '));
}

const cases: [what: string, units: string[], groups: string[]][] = [
  ['nothing', [], []],
  ['one unit', ['1:5-9'], ['1:5-9']],
  ['units apart, by their earliest time', ['2:10-12', '1:5-9'], ['1:5-9', '2:10-12']],
  ['units of one source never repeat each other, even where their times touch', ['1:5-9', '1:9-12', '1:7-8'], ['1:5-9', '1:7-8', '1:9-12']],
  ['units of two sources that overlap', ['1:5-9', '2:7-12'], ['1:5-9 2:7-12']],
  ['one inside the other', ['1:5-9', '2:6-7'], ['1:5-9 2:6-7']],
  ['equal ranges', ['2:5-9', '1:5-9'], ['1:5-9 2:5-9']],
  ['a last and a first entry at the same time', ['1:5-9', '2:9-12'], ['1:5-9 2:9-12']],
  ['one nanosecond apart', ['1:5-9', '2:10-12'], ['1:5-9', '2:10-12']],
  ['single entries at the same time', ['1:5-5', '2:5-5', '3:5-5'], ['1:5-5 2:5-5 3:5-5']],
  ['a chain: each overlaps the next', ['1:1-4', '2:4-8', '3:8-9'], ['1:1-4 2:4-8 3:8-9']],
  ['two blocks of a source, joined by another that overlaps both', ['1:1-4', '1:5-8', '2:3-6'], ['1:1-4 1:5-8 2:3-6']],
  ['two blocks of a source, the other overlaps one only', ['1:1-4', '1:5-8', '2:6-9'], ['1:1-4', '1:5-8 2:6-9']],
  ['a long unit over many short ones', ['1:1-9', '2:2-2', '2:4-4', '3:8-8', '3:10-10'], ['1:1-9 2:2-2 2:4-4 3:8-8', '3:10-10']],
  ['a long unit that began before an unrelated short one of its own source', ['1:1-9', '1:2-3', '2:8-9'], ['1:1-9 2:8-9', '1:2-3']],
];
for (const [what, units, groups] of cases) test(`overlap: ${what}`, () => assert.deepEqual(grouped(units), groups));

/** The same, from the definition: connected components of "other source, and a time in common". */
function modelGroups(units: readonly string[]): string[] {
  const parsed = units.map(unit);
  const left = new Set(parsed);
  const groups: string[] = [];
  for (const first of parsed) {
    if (!left.delete(first)) continue;
    const group = [first];
    for (const member of group) {
      for (const other of left) {
        if (other.source === member.source || other.minNs > member.maxNs || other.maxNs < member.minNs) continue;
        left.delete(other);
        group.push(other);
      }
    }
    groups.push(asSet(group.map(({ text }) => text)));
  }
  return groups.sort();
}

const asSet = (units: string[]): string => units.sort().join(' ');

test('overlap: groups are those of the naive model, in order, whatever the units', () => {
  const random = seededRandom(1);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  for (let round = 0; round < 2_000; round++) {
    const span = 1 + below(60);
    const units = Array.from({ length: below(14) }, () => {
      const min = below(span);
      return `${below(4)}:${min}-${min + below(1 + below(12))}`;
    });
    const distinct = [...new Set(units)];
    const groups = groupOverlapping(distinct.map(unit));
    const texts = groups.map((group) => asSet(group.map(({ text }) => text)));
    assert.deepEqual([...texts].sort(), modelGroups(distinct), distinct.join(' '));
    const starts = groups.map((group) => Math.min(...group.map(({ minNs }) => Number(minNs))));
    assert.ok(
      starts.every((start, index) => index === 0 || starts[index - 1] <= start),
      `groups of ${distinct.join(' ')} are not in the order of their times`,
    );
    for (const group of groups) {
      const ordered = group.every(
        ({ source, minNs }, index) =>
          index === 0 || group[index - 1].source < source || (group[index - 1].source === source && group[index - 1].minNs <= minNs),
      );
      assert.ok(ordered, `units of a group of ${distinct.join(' ')} are not by source and time`);
    }
  }
});
