import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QueryResult } from '../../../ops/cli/client.ts';
import { logPages } from '../../../ops/cli/pages.ts';

/** A server that answers from `entries` as Loki does: [fromNs, toNs), the limit, the direction. */
function server(entries: readonly { timeNs: bigint; line: string; stream: string }[]) {
  const asked: number[] = [];
  return {
    asked,
    async queryRange(
      _query: string,
      { fromNs, toNs }: { fromNs: bigint; toNs: bigint },
      more: Record<string, string> = {},
    ): Promise<QueryResult> {
      asked.push(Number(more.limit));
      const within = entries.filter(({ timeNs }) => timeNs >= fromNs && timeNs < toNs);
      within.sort((a, b) => Number(more.direction === 'forward' ? a.timeNs - b.timeNs : b.timeNs - a.timeNs));
      const result = within.slice(0, Number(more.limit)).map(({ timeNs, line, stream }) => ({
        stream: { stream },
        values: [[String(timeNs), line]] as [string, string][],
      }));
      return { resultType: 'streams', result };
    },
  };
}

async function read(from: ReturnType<typeof server>, forward: boolean, limit = Number.POSITIVE_INFINITY): Promise<string[]> {
  const lines: string[] = [];
  for await (const page of logPages(from, { query: '{a="b"}', fromNs: 0n, toNs: 1_000_000n, limit, forward }))
    lines.push(...page.map(({ line }) => line));
  return lines;
}

/** `count` entries, `perTime` of them at each nanosecond, in two streams. */
function entries(count: number, perTime: number) {
  return Array.from({ length: count }, (_, index) => ({
    timeNs: BigInt(Math.floor(index / perTime)),
    line: `n${index}`,
    stream: `s${index % 2}`,
  }));
}

for (const [count, perTime] of [
  [0, 1],
  [1, 1],
  [1_000, 1],
  [2_500, 1],
  [2_500, 7],
  [4_000, 1_500],
] as const) {
  for (const forward of [true, false]) {
    test(`pages: ${count} entries, ${perTime} at a time, ${forward ? 'forward' : 'backward'}`, async () => {
      const all = entries(count, perTime);
      const lines = await read(server(all), forward);
      assert.equal(lines.length, count);
      assert.deepEqual(new Set(lines), new Set(all.map(({ line }) => line)));
    });
  }
}

test('pages: the same line in two streams at one time is two entries', async () => {
  const twins = ['a', 'b'].map((stream) => ({ timeNs: 5n, line: 'same', stream }));
  assert.deepEqual(await read(server([...entries(998, 1), ...twins]), false), await read(server([...entries(998, 1), ...twins]), false));
  assert.equal((await read(server([...entries(1_500, 1), ...twins]), true)).filter((line) => line === 'same').length, 2);
});

test('pages: a limit ends them, and is never exceeded', async () => {
  const source = server(entries(5_000, 1));
  assert.deepEqual(await read(source, true, 3), ['n0', 'n1', 'n2']);
  assert.deepEqual(source.asked, [3]);
  assert.equal((await read(server(entries(5_000, 3)), true, 1_700)).length, 1_700);
});

test('pages: more entries at one time than an answer holds is an error, not a short answer', async () => {
  await assert.rejects(read(server(entries(5_001, 6_000)), true), /more than 5000 entries at 0 ns/);
});
