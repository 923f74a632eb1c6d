import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogQueryOptions, logExecution } from '../../../logql/engine/log-execution.ts';
import { mergeLogFrames } from '../../../logql/engine/log-frame.ts';
import { formatLabels, type Labels } from '../../../logql/model.ts';
import { streamHash } from '../../../logql/stream-hash.ts';
import { type BlockRow, blockOf } from '../../support/blocks.ts';
import { QueryGenerator } from '../../support/query-generator.ts';

const BASE = 1_768_471_200_000_000_000n;
const A: Labels = [['app', 'a']];
const B: Labels = [['app', 'b']];
const OPTIONS: LogQueryOptions = { fromNs: BASE, toNs: BASE + 1000n, limit: 100, direction: 'forward', categorize: false };

/** Blocks are visited in the query's direction, stream by stream. */
function execute(query: string, options: Partial<LogQueryOptions>, streams: [Labels, BlockRow[][]][]) {
  const execution = logExecution(query, { ...OPTIONS, ...options });
  const backward = options.direction === 'backward';
  for (const [labels, blocks] of streams) {
    const stream = execution.stream(labels);
    const inOrder = blocks.map((rows) => blockOf(BASE, rows));
    for (const block of backward ? inOrder.toReversed() : inOrder) stream.block(block);
  }
  return execution;
}

function entries(
  query: string,
  options: Partial<LogQueryOptions>,
  streams: [Labels, BlockRow[][]][],
): [time: number, stream: string, line: string, ...rest: unknown[]][] {
  const { direction = 'forward', limit = 100 } = options;
  return mergeLogFrames([execute(query, options, streams).frame()], { direction, limit, intervalNs: 0 }).map(({ timeNs, text, value }) => {
    const [time, line, ...rest] = JSON.parse(Buffer.from(value).toString());
    assert.equal(time, String(timeNs));
    return [Number(timeNs - BASE), text, line, ...rest];
  });
}

const lines = (...parameters: Parameters<typeof entries>): string[] => entries(...parameters).map(([, , line]) => line);

test('entries from the start, inclusive, to the end, exclusive', () => {
  const streams: [Labels, BlockRow[][]][] = [
    [
      A,
      [
        [
          [9, 'a'],
          [10, 'b'],
          [19, 'c'],
          [20, 'd'],
        ],
      ],
    ],
  ];
  const range = { fromNs: BASE + 10n, toNs: BASE + 20n };
  assert.deepEqual(lines('{app="a"}', range, streams), ['b', 'c']);
  assert.deepEqual(lines('{app="a"}', { ...range, direction: 'backward' }, streams), ['c', 'b']);
  assert.deepEqual(lines('{app="a"}', { ...range, limit: 0 }, streams), []);
});

test('equal times keep their order, reversed when backward; streams by their hashes', () => {
  const streams: [Labels, BlockRow[][]][] = [
    [
      B,
      [
        [
          [1, 'b1'],
          [1, 'b2'],
        ],
        [[1, 'b3']],
      ],
    ],
    [
      A,
      [
        [
          [1, 'a1'],
          [1, 'a2'],
        ],
      ],
    ],
  ];
  assert.deepEqual(lines('{app=~".+"}', {}, streams), ['b1', 'b2', 'b3', 'a1', 'a2']);
  assert.deepEqual(lines('{app=~".+"}', { direction: 'backward' }, streams), ['b3', 'b2', 'b1', 'a2', 'a1']);
  assert.deepEqual(lines('{app=~".+"}', { limit: 4 }, streams), ['b1', 'b2', 'b3', 'a1']);
  assert.deepEqual(lines('{app=~".+"}', { limit: 4, direction: 'backward' }, streams), ['b3', 'b2', 'b1', 'a2']);
});

test('at equal times, entries of streams that are shown as one are in the order of the streams', () => {
  const streams: [Labels, BlockRow[][]][] = [
    [A, [[[1, 'a1']]]],
    [B, [[[1, 'b1']]]],
  ];
  for (const direction of ['forward', 'backward'] as const) {
    assert.deepEqual(lines('{app=~".+"} | drop app', { direction }, streams), ['b1', 'a1']);
    assert.deepEqual(lines('{app=~".+"} | drop app', { direction, limit: 1 }, streams), ['b1']);
  }
  const [first, second] = streams.map((stream) => execute('{app=~".+"} | drop app', {}, [stream]).frame());
  const merged = mergeLogFrames([first, second], { limit: 2, direction: 'forward', intervalNs: 0 });
  assert.deepEqual(
    merged.map(({ value }) => JSON.parse(Buffer.from(value).toString())[1]),
    ['b1', 'a1'],
  );
});

test('an entry is shown under its own stream, though the labels of another are the same with its metadata', () => {
  const streams: [Labels, BlockRow[][]][] = [
    [A, [[[1, 'one', { level: 'i' }]]]],
    [[...A, ['level', 'i']], [[[2, 'two']]]],
  ];
  assert.deepEqual(entries('{app="a"}', { categorize: true }, streams), [
    [1, '{app="a"}', 'one', { structuredMetadata: { level: 'i' } }],
    [2, '{app="a", level="i"}', 'two', {}],
  ]);
});

test('once the limit is reached there is a bound, and blocks beyond it are left alone', () => {
  const execution = execute('{app="a"}', { limit: 2, direction: 'backward' }, [
    [
      A,
      [
        [
          [10, 'a'],
          [20, 'b'],
          [30, 'c'],
        ],
      ],
    ],
  ]);
  assert.equal(execution.bound(), BASE + 20n);
  const beyond = blockOf(BASE, [[19, 'x']]);
  const touching = blockOf(BASE, [[20, 'y']]);
  const stream = execution.stream(B);
  stream.block(beyond);
  stream.block(touching);
  assert.deepEqual([...beyond.touched], []);
  assert.ok(touching.touched.has('times'));
  assert.equal(execute('{app="a"}', { limit: 4 }, [[A, [[[10, 'a']]]]]).bound(), undefined);
});

test('the line is JSON, whatever its bytes', () => {
  const rows: BlockRow[] = [
    [1, 'say "hi"\n\\'],
    [2, Buffer.of(0x61, 0xff, 0xc3)],
    [3, ''],
  ];
  assert.deepEqual(lines('{app="a"}', {}, [[A, [rows]]]), ['say "hi"\n\\', 'a\ufffd\ufffd', '']);
});

test('metadata is among the labels, or apart from them', () => {
  const streams: [Labels, BlockRow[][]][] = [
    [
      A,
      [
        [
          [1, 'k=v', { trace: 't"1' }],
          [2, 'plain'],
        ],
      ],
    ],
  ];
  assert.deepEqual(
    entries('{app="a"} | logfmt k', {}, streams).map(([, text]) => text),
    ['{app="a", k="v", trace="t\\"1"}', '{app="a", k=""}'],
  );
  assert.deepEqual(entries('{app="a"}', { categorize: true }, streams), [
    [1, '{app="a"}', 'k=v', { structuredMetadata: { trace: 't"1' } }],
    [2, '{app="a"}', 'plain', {}],
  ]);
  assert.deepEqual(entries('{app="a"} |= "k" | logfmt', { categorize: true }, streams), [
    [1, '{app="a"}', 'k=v', { structuredMetadata: { trace: 't"1' }, parsed: { k: 'v' } }],
  ]);
});

for (let seed = 1; seed <= 20; seed++) {
  test(`the best of many, seed ${seed}`, () => {
    const random = new QueryGenerator(seed);
    const direction = random.int(2) ? 'forward' : 'backward';
    const limit = 1 + random.int(60);
    const all: [time: number, stream: string, number: number][] = [];
    const streams: [Labels, BlockRow[][]][] = Array.from({ length: 3 }, (_, stream) => {
      let time = 0;
      const blocks = Array.from({ length: 3 }, (_, block) =>
        Array.from({ length: 1 + random.int(1500) }, (_, row): BlockRow => {
          time = Math.min(999, time + (random.int(3) ? 0 : 1));
          const number = block * 10_000 + row;
          const keep = random.int(3) > 0;
          if (keep) all.push([time, `{app="${stream}"}`, number]);
          return [time, `${keep ? 'keep' : 'drop'} ${number}`];
        }),
      );
      return [[['app', String(stream)]], blocks];
    });
    const sign = direction === 'forward' ? 1 : -1;
    const hashes = new Map(streams.map(([labels]) => [formatLabels(labels), streamHash(labels)]));
    const byHash = (a: string, b: string) => (a === b ? 0 : hashes.get(a)! < hashes.get(b)! ? -1 : 1);
    all.sort((a, b) => sign * (a[0] - b[0]) || byHash(a[1], b[1]) || sign * (a[2] - b[2]));
    const wanted = all.slice(0, limit).map(([time, stream, number]) => [time, stream, `keep ${number}`]);
    assert.deepEqual(entries('{app=~".+"} |= "keep"', { limit, direction }, streams), wanted);
  });
}
