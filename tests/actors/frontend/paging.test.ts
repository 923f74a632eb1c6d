import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAKE_START_MS, seededRandom } from '../../../ops/base/world-fake.ts';
import { type Entry, SingleStore } from '../../support/single-store.ts';

const START_NS = BigInt(FAKE_START_MS) * 1_000_000n - 7_200_000_000_000n;
const END_NS = START_NS + 7_200_000_000_000n;

interface Asked {
  readonly query: string;
  readonly direction: 'forward' | 'backward';
  readonly limit: number;
  readonly categorize?: boolean;
  readonly cursor?: string;
  readonly intervalNs?: number;
}

interface Page {
  readonly values: string[];
  readonly cursor: string | undefined;
  readonly more: boolean;
  readonly matched: number | undefined;
}

async function pageOf(store: SingleStore, asked: Asked): Promise<Page> {
  const ask = { kind: 'range' as const, startNs: START_NS, endNs: END_NS, stepNs: 1e9, intervalNs: 0, categorize: false, ...asked };
  const { data } = await store.ask(ask);
  const values = data.result.flatMap(({ stream, values }: { stream: object; values: string[][] }) =>
    values.map((value) => JSON.stringify([stream, ...value])),
  );
  return { values, cursor: data.cursor, more: data.stats.summary.more, matched: data.stats.summary.matched };
}

const boot = () => SingleStore.bootReady({ shards: 2 });

/** Entries of a few streams at very few times. */
function crowd(seed: number, count: number): Entry[] {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.next() * limit);
  return Array.from({ length: count }, (_, index) => ({
    labels: { app: `app-${below(3)}` },
    timeNs: START_NS + BigInt(below(4)) * 1_800_000_000_000n,
    line: `n=${seed}.${index} level=${['info', 'warn'][below(2)]} kind=${below(3)}`,
  }));
}

const QUERIES = [
  '{app=~".+"}',
  '{app=~".+"} |= "kind=1"',
  '{app="app-1"} | logfmt',
  '{app=~".+"} | logfmt | drop n | line_format "{{.kind}}"', // equal lines from different ones
];

for (const query of QUERIES) {
  for (const direction of ['forward', 'backward'] as const) {
    for (const categorize of [false, true]) {
      test(`pages of ${query}, ${direction}${categorize ? ', categorized' : ''}: every entry once, while others arrive at the same times`, async () => {
        const store = await boot();
        await store.push(crowd(1, 120));
        await store.flush();
        await store.push(crowd(2, 80));
        const before = await pageOf(store, { query, direction, categorize, limit: 1_000 });
        assert.deepEqual([before.more, before.cursor, before.matched], [false, undefined, before.values.length]);
        const found: string[] = [];
        let cursor: string | undefined;
        for (let page = 0; ; page++) {
          assert.ok(page < 500, 'the pages do not end');
          const limit = 1 + (page % 7);
          const answer = await pageOf(store, { query, direction, categorize, limit, ...(cursor && { cursor }) });
          found.push(...answer.values);
          assert.equal(answer.more, answer.cursor !== undefined);
          if (!answer.more) break;
          assert.equal(answer.values.length, limit);
          cursor = answer.cursor;
          if (page === 5) await store.flush();
          if (page % 4 === 3) await store.push(crowd(10 + page, 5));
        }
        const after = await pageOf(store, { query, direction, categorize, limit: 5_000 });
        const times = (values: string[]): Map<string, number> => {
          const counts = new Map<string, number>();
          for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
          return counts;
        };
        const [counts, least, most] = [times(found), times(before.values), times(after.values)];
        for (const [value, count] of least) assert.ok((counts.get(value) ?? 0) >= count, `missing: ${value}`);
        for (const [value, count] of counts) assert.ok(count <= (most.get(value) ?? 0), `twice: ${value}`);
        await store.system.stop();
      });
    }
  }
}

const refused: [what: string, asked: Partial<Asked>, message: RegExp][] = [
  ['text that is no cursor', { cursor: 'abc' }, /not one that an answer of this server gave/],
  ['another query', { query: '{app="app-1"}' }, /belongs to another query/],
  ['another direction', { direction: 'backward' }, /belongs to another query, direction/],
  ['another form of answer', { categorize: true }, /belongs to another query, direction or encoding/],
  ['an interval', { intervalNs: 1e9 }, /does not go with an interval/],
  ['a metric query', { query: 'count_over_time({app="app-1"}[1m])' }, /this is a metric query/],
];
for (const [what, change, message] of refused) {
  test(`a cursor with ${what} is refused`, async () => {
    const store = await boot();
    await store.push(crowd(1, 20));
    const asked = { query: '{app=~".+"}', direction: 'forward' as const, limit: 5 };
    const { cursor } = await pageOf(store, asked);
    await assert.rejects(pageOf(store, { ...asked, ...(cursor && { cursor }), ...change }), { code: 'bad_request', message });
    await store.system.stop();
  });
}
