import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PartName } from '../../../actors/compactor/damaged-parts.ts';
import { dueCompaction } from '../../../actors/compactor/plan.ts';
import type { SurveyedDay, SurveyedPart, SurveyedSegment } from '../../../actors/compactor/survey.ts';
import { Closure } from '../../../storage/segment/closure.ts';

const DAY = 20_000;
const HOUR_MS = 3_600_000;
const START_MS = DAY * 24 * HOUR_MS;
const SIZE = 1_000;

/** `12:300`: created at 12:00, 300 stored bytes; `12:300x9` with nine times as many bytes of lines. */
function part(text: string): SurveyedPart {
  const [, hour, bytes, ratio = '1'] = /^(\d+):(\d+)(?:x(\d+))?$/.exec(text)!;
  const createdMs = START_MS + Number(hour) * HOUR_MS;
  const storedBytes = Number(bytes);
  return {
    key: text,
    createdMs,
    sizeBytes: storedBytes,
    storedBytes,
    lineBytes: storedBytes * Number(ratio),
    footerBytes: 10,
    oldestMs: createdMs,
    first: text,
  };
}

/** `2@12:300`: of level 2. */
function segment(text: string): SurveyedSegment {
  const [level, rest] = text.split('@');
  return { ...part(rest), key: text, level: Number(level), seenMs: 0, closure: Closure.EMPTY, cover: new Map() };
}

const day = (levelZero: string[], segments: string[]): SurveyedDay => ({
  tenant: 't',
  day: DAY,
  live: { accepted: segments.map(segment), obstacles: new Map() },
  levelZero: levelZero.map(part),
});

const eight = (of: (number: number) => string): string[] => Array.from({ length: 8 }, (_, number) => of(10 + number));

const cases: [what: string, hour: number, levelZero: string[], segments: string[], merged: string[] | undefined][] = [
  ['nothing there', 12, [], [], undefined],
  ['a little, flushed lately', 12, ['11:10', '12:10'], [], undefined],
  ['a little, flushed long ago', 14, ['11:10', '12:10'], [], ['11:10', '12:10']],
  ['half a segment', 12, ['11:300', '12:200'], [], ['11:300', '12:200']],
  ['lines for half a segment', 12, ['11:300x9', '12:200x9'], [], ['11:300x9', '12:200x9']],
  ['many', 17, eight((hour) => `${hour}:1`).slice(1), [], ['11:1', '12:1', '13:1', '14:1', '15:1', '16:1', '17:1']],
  ['no more than a segment may have, the oldest first', 12, ['12:500', '11:400', '10:300'], [], ['10:300', '11:400']],
  ['a flush larger than a segment', 12, ['11:3000', '12:10'], [], ['11:3000']],
  ['few small segments of a day that is being written', 20, [], ['1@10:10', '1@11:10'], undefined],
  ['many small segments', 20, [], eight((hour) => `1@${hour}:10`), eight((hour) => `1@${hour}:10`)],
  ['small segments that make a large one', 20, [], ['1@10:300', '1@11:300'], ['1@10:300', '1@11:300']],
  ['two small segments of a day that is over', 27, [], ['1@10:10', '1@11:10'], ['1@10:10', '1@11:10']],
  ['small segments of two levels', 27, [], ['2@10:10', '1@11:10'], undefined],
  ['of two levels the lower', 27, [], ['2@8:10', '2@9:10', '1@10:10', '1@11:10'], ['1@10:10', '1@11:10']],
  ['large segments', 27, [], ['1@10:500', '1@11:600'], undefined],
  ['small segments with a large one between', 27, [], ['1@10:10', '1@11:600', '1@12:10'], undefined],
  ['small segments beside a large one', 27, [], ['1@10:600', '1@11:10', '1@12:10'], ['1@11:10', '1@12:10']],
  ['a late flush', 27, ['26:1'], ['1@10:10', '1@11:10'], ['1@10:10', '1@11:10']],
  ['a late flush some time later', 28, ['26:1'], ['1@10:10', '1@11:10'], ['26:1']],
];

for (const [what, hour, levelZero, segments, merged] of cases) {
  test(`what is compacted: ${what}`, () => {
    const options = { segmentBytes: SIZE, levelZeroAgeMs: 2 * HOUR_MS, nowMs: START_MS + hour * HOUR_MS + 1 };
    const due = dueCompaction(day(levelZero, segments), options);
    assert.deepEqual(
      due?.parts.map(({ key }) => key),
      merged,
    );
  });
}

test('what is damaged is left out, and what is on either side of it does not become one', () => {
  const options = { segmentBytes: SIZE, levelZeroAgeMs: 2 * HOUR_MS, nowMs: START_MS + 20 * HOUR_MS };
  const isDamaged = ({ tenant, day, key }: PartName): boolean => tenant === 't' && day === DAY && key === '12:10';
  const due = (...levelZero: string[]) => dueCompaction(day(levelZero, []), { ...options, isDamaged })?.parts.map(({ key }) => key);
  assert.deepEqual(due('10:10', '11:10', '12:10', '13:10', '14:10'), ['10:10', '11:10']);
  assert.deepEqual(due('12:10', '13:10', '14:10'), ['13:10', '14:10']);
  assert.deepEqual(due('12:10'), undefined);
});

const lateness: [what: string, hour: number, levelZero: string[], segments: string[], hours: number][] = [
  ['flushed long ago', 14, ['11:10', '12:10'], [], 12],
  ['half a segment', 17, ['11:300', '12:200'], [], 12],
  ['half a segment, long after the first of it', 17, ['11:300', '16:200'], [], 13],
  ['many small segments', 20, [], eight((hour) => `1@${hour}:10`), 17],
  ['two small segments of a day that is over', 27, [], ['1@10:10', '1@11:10'], 26],
  ['two that came after it was over', 40, [], ['1@30:10', '1@31:10'], 31],
];

for (const [what, hour, levelZero, segments, sinceHour] of lateness) {
  test(`since when a compaction is due: ${what}`, () => {
    const options = { segmentBytes: SIZE, levelZeroAgeMs: 2 * HOUR_MS, nowMs: START_MS + hour * HOUR_MS + 1 };
    const due = dueCompaction(day(levelZero, segments), options);
    assert.equal((due!.dueSinceMs - START_MS) / HOUR_MS, sinceHour);
  });
}

test('of very many small parts so many are merged at once as can be read side by side', () => {
  const one = part('10:1');
  const levelZero = Array.from({ length: 20_000 }, (_, number) => ({ ...one, key: `${number}`, first: String(number).padStart(5, '0') }));
  const options = { segmentBytes: 100_000, levelZeroAgeMs: 0, nowMs: START_MS + 12 * HOUR_MS };
  const due = dueCompaction({ ...day([], []), levelZero }, options);
  assert.equal(due!.parts.length, 64);
});

/** How many bytes compactions write for a flushed one, over a day of equal flushes and the day after, and how many segments are left. */
function written(flushes: number, bytes: number): { ratio: number; segments: number } {
  let levelZero: SurveyedPart[] = [];
  let segments: SurveyedSegment[] = [];
  let sum = 0;
  let made = 0;
  for (let minute = 0; minute < 2 * 24 * 60; minute += 10) {
    for (let flush = 0; flush < flushes; flush++) {
      const at = (flush * 24 * 60) / flushes;
      if (at >= minute && at < minute + 10)
        levelZero.push({
          ...part(`0:${bytes}`),
          key: `${flush}`,
          first: `${made++}`,
          createdMs: START_MS + at * 60_000,
          oldestMs: START_MS + at * 60_000,
        });
    }
    for (;;) {
      const options = { segmentBytes: SIZE, levelZeroAgeMs: 2 * HOUR_MS, nowMs: START_MS + minute * 60_000 };
      const due = dueCompaction({ tenant: 't', day: DAY, live: { accepted: segments, obstacles: new Map() }, levelZero }, options);
      if (due === undefined) break;
      const level = 1 + Math.max(0, ...due.parts.map((one) => (one as SurveyedSegment).level ?? 0));
      const [first] = due.parts;
      const { storedBytes } = due;
      sum += storedBytes;
      levelZero = levelZero.filter((one) => !due.parts.includes(one));
      segments = segments.filter((one) => !due.parts.includes(one));
      segments.push({
        ...first,
        key: `s${made++}`,
        createdMs: options.nowMs,
        seenMs: 0,
        sizeBytes: storedBytes,
        storedBytes,
        lineBytes: storedBytes,
        level,
        closure: Closure.EMPTY,
        cover: new Map(),
      });
    }
  }
  assert.deepEqual(levelZero, []);
  return { ratio: sum / (flushes * bytes), segments: segments.length };
}

const amplification: [what: string, flushes: number, bytes: number, ratio: number, segments: number][] = [
  ['a busy day: flushes of a third of a segment each two minutes', 720, 333, 1, 360],
  ['a day of middling flushes', 300, 60, 2, 36],
  ['a quiet day: a tiny flush each half hour', 48, 1, 3, 2],
  ['a very quiet day', 3, 1, 3, 2],
];

for (const [what, flushes, bytes, ratio, segments] of amplification) {
  test(`bytes written by compaction for a flushed one, ${what}`, (context) => {
    const found = written(flushes, bytes);
    context.diagnostic(`${found.ratio.toFixed(2)} times, ${found.segments} segments`);
    assert.ok(found.ratio <= ratio, `${found.ratio} times`);
    assert.ok(found.segments <= segments, `${found.segments} segments`);
  });
}
