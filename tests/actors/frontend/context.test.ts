import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FAKE_START_MS } from '../../../ops/base/world-fake.ts';
import { SingleStore } from '../../support/single-store.ts';

const START_NS = BigInt(FAKE_START_MS) * 1_000_000n;
let store: SingleStore;

/** Two streams, an entry a second in turn from 0 to 19, three of stream a at second 10. */
before(async () => {
  store = await SingleStore.bootReady({ shards: 2 });
  const at = (second: number) => START_NS + BigInt(second) * 1_000_000_000n;
  const entries = Array.from({ length: 20 }, (_, second) => ({
    labels: { app: second % 2 === 0 ? 'a' : 'b' },
    timeNs: at(second),
    line: `n=${second}`,
  }));
  await store.push(entries.slice(0, 12));
  await store.flush();
  await store.push([...entries.slice(12), ...['x', 'y'].map((mark) => ({ labels: { app: 'a' }, timeNs: at(10), line: `n=10 ${mark}` }))]);
});
after(() => store.system.stop());

const ask = (more: { query?: string; stream?: string; before: number; after: number; second: number }) =>
  store.ask({
    kind: 'context',
    query: more.query ?? '',
    stream: more.stream ?? '',
    timeNs: START_NS + BigInt(more.second) * 1_000_000_000n,
    startNs: START_NS - 1_000_000_000n,
    endNs: START_NS + 60_000_000_000n,
    before: more.before,
    after: more.after,
    categorize: false,
  });

async function linesAround(...parameters: Parameters<typeof ask>): Promise<{ lines: string[]; context: unknown }> {
  const { data } = await ask(...parameters);
  const values: [string, string][] = data.result.flatMap(({ values }: { values: [string, string][] }) => values);
  const inTime = values.map(([time, line]) => ({ time: BigInt(time), line })).sort((a, b) => Number(a.time - b.time));
  return { lines: inTime.map(({ line }) => line), context: data.context };
}

const cases: [what: string, asked: Parameters<typeof ask>[0], lines: string[], context: Record<string, unknown>][] = [
  [
    'some entries on both sides, all at the time',
    { stream: '{app="a"}', second: 10, before: 2, after: 1 },
    ['n=6', 'n=8', 'n=10', 'n=10 x', 'n=10 y', 'n=12'],
    { before: 2, at: 3, after: 1, moreBefore: true, moreAfter: true },
  ],
  [
    'entries up to both ends',
    { stream: '{app="b"}', second: 9, before: 5, after: 5 },
    ['n=1', 'n=3', 'n=5', 'n=7', 'n=9', 'n=11', 'n=13', 'n=15', 'n=17', 'n=19'],
    { before: 4, at: 1, after: 5, moreBefore: false, moreAfter: false },
  ],
  [
    'a time without an entry',
    { stream: '{app="a"}', second: 11, before: 1, after: 1 },
    ['n=10 y', 'n=12'],
    { before: 1, at: 0, after: 1, moreBefore: true, moreAfter: true },
  ],
  [
    'stages, and the streams of both selectors',
    { query: '{app=~".+"} | logfmt | n != "8"', stream: '{app="a"}', second: 10, before: 1, after: 0 },
    ['n=6', 'n=10', 'n=10 x', 'n=10 y'],
    { before: 1, at: 3, after: 0, moreBefore: true, moreAfter: true },
  ],
];
for (const [what, asked, lines, context] of cases) {
  test(`context: ${what}`, async () => assert.deepEqual(await linesAround(asked), { lines, context }));
}

for (const [what, asked, message] of [
  ['neither query nor stream', {}, /wants a query, a stream, or both/],
  ['a metric query', { query: 'rate({app="a"}[1m])' }, /only log selector is supported/],
  ['a stream with stages', { stream: '{app="a"} |= "x"' }, /only label matchers/],
] as const) {
  test(`context of ${what} is refused`, () => assert.rejects(ask({ second: 1, before: 1, after: 1, ...asked }), { message }));
}
