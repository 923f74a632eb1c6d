import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import { JsonWriter } from '../../../logql/engine/json-writer.ts';
import { encodeLogFrame, type FrameEntry, joinLogResults, mergeLogFrames } from '../../../logql/engine/log-frame.ts';
import { emptySeries } from '../../../logql/engine/matrix.ts';
import { renderMatrix, renderScalar, renderStreams, renderVector } from '../../../logql/engine/render.ts';
import type { QueryStats } from '../../../logql/engine/response-stats.ts';
import { formatLabels, type Labels } from '../../../logql/model.ts';

const STATS: QueryStats = {
  lines: 1000,
  lineBytes: 50_000,
  metadataBytes: 400,
  matchedLines: 10,
  headRows: 250,
  compressedBytes: 9000,
  duplicates: 1,
  chunks: 3,
  decompressMs: 5,
  execMs: 20,
  queueMs: 1,
  subqueries: 4,
  splits: 1,
  shards: 4,
  ingesters: 1,
  cutShort: 0,
  blocksSkipped: 0,
};

const strings: [what: string, bytes: Buffer][] = [
  ['plain text', Buffer.from('plain')],
  ['nothing', Buffer.alloc(0)],
  ['quotes and backslashes', Buffer.from('a "b" \\ c')],
  ['controls', Buffer.from(Array.from({ length: 32 }, (_, code) => code))],
  ['delete', Buffer.from('\x7f')],
  ['several alphabets', Buffer.from('naïve 東京 🦊')],
  ['stray bytes', Buffer.of(0x61, 0xff, 0x62, 0x80, 0xc3)],
  ['overlong sequences', Buffer.of(0xc0, 0x80, 0xe0, 0x80, 0x80, 0xf0, 0x80, 0x80, 0x80)],
  ['surrogates', Buffer.of(0xed, 0xa0, 0x80)],
  ['beyond Unicode', Buffer.of(0xf4, 0x90, 0x80, 0x80)],
  ['a sequence cut short', Buffer.of(0xe6, 0x9d, 0x22, 0xf0, 0x9f, 0xa6)],
  ['more than fits at first', Buffer.from('é"'.repeat(5000))],
];
for (const [what, bytes] of strings) {
  test(`a JSON string of ${what}`, () => {
    const json = new JsonWriter().string(bytes).view();
    const text = json.toString();
    assert.ok(isUtf8(json));
    // One U+FFFD for each stray byte, as Go has it; a TextDecoder gives one for a whole broken sequence.
    assert.equal((JSON.parse(text) as string).replace(/\ufffd+/g, '?'), bytes.toString().replace(/\ufffd+/g, '?'));
  });
}

test('each stray byte becomes one replacement character', () => {
  assert.equal(
    new JsonWriter()
      .string(Buffer.of(0xe6, 0x9d, 0x78, 0xff))
      .view()
      .toString(),
    '"\ufffd\ufffdx\ufffd"',
  );
});

function entry(timeNs: bigint, labels: Labels, line: string): FrameEntry {
  const text = formatLabels(labels);
  return { timeNs, labels, text, origin: text, all: text, value: Buffer.from(JSON.stringify([String(timeNs), line])), mark: 0n };
}

const A: Labels = [['app', 'a']];
const B: Labels = [['app', 'b']];
const lines = (entries: readonly FrameEntry[]): string[] => entries.map(({ value }) => JSON.parse(Buffer.from(value).toString())[1]);

test('log frames merge by time, equal times by stream', () => {
  const first = encodeLogFrame([entry(1n, A, 'a1'), entry(2n, A, 'a2'), entry(2n, A, 'a2b'), entry(5n, A, 'a5')]);
  const second = encodeLogFrame([entry(2n, B, 'b2'), entry(4n, B, 'b4')]);
  const forward = { limit: 5, direction: 'forward', intervalNs: 0 } as const;
  assert.deepEqual(lines(mergeLogFrames([first, second], forward)), ['a1', 'a2', 'a2b', 'b2', 'b4']);
  assert.deepEqual(lines(mergeLogFrames([first, second], { ...forward, intervalNs: 2 })), ['a1', 'b4']);
  const back = [
    encodeLogFrame([entry(5n, A, 'a5'), entry(2n, A, 'a2b'), entry(2n, A, 'a2')]),
    encodeLogFrame([entry(4n, B, 'b4'), entry(2n, B, 'b2')]),
  ];
  assert.deepEqual(lines(mergeLogFrames(back, { ...forward, direction: 'backward' })), ['a5', 'b4', 'a2b', 'a2', 'b2']);
  assert.deepEqual(lines(joinLogResults([mergeLogFrames([first], forward), mergeLogFrames([second], forward)], 5)), [
    'a1',
    'a2',
    'a2b',
    'a5',
    'b2',
  ]);
});

test('frames survive odd alignment, and a short one is refused', () => {
  const frames = encodeLogFrame([entry(1_768_471_200_000_000_001n, A, 'x')]);
  const odd = frames.map((bytes) => Buffer.concat([Buffer.of(0), bytes]).subarray(1));
  assert.equal(mergeLogFrames([odd], { limit: 1, direction: 'forward', intervalNs: 0 })[0].timeNs, 1_768_471_200_000_000_001n);
  assert.throws(
    () => mergeLogFrames([[frames[0], frames[1].subarray(1), ...frames.slice(2)]], { limit: 1, direction: 'forward', intervalNs: 0 }),
    { code: 'corrupt' },
  );
});

function answer(chunks: readonly Uint8Array[]) {
  const body = JSON.parse(Buffer.concat(chunks).toString());
  const { stats, ...data } = body.data;
  return { ...body, data, stats };
}

test('streams are listed by their first entry', () => {
  const body = answer(renderStreams([entry(3n, B, 'b'), entry(2n, A, 'a'), entry(1n, B, 'c')], { stats: STATS, categorize: false }));
  assert.equal(body.status, 'success');
  assert.deepEqual(body.data, {
    resultType: 'streams',
    result: [
      {
        stream: { app: 'b' },
        values: [
          ['3', 'b'],
          ['1', 'c'],
        ],
      },
      { stream: { app: 'a' }, values: [['2', 'a']] },
    ],
  });
  assert.equal(body.stats.summary.totalEntriesReturned, 3);
});

test('an answer says that labels are categorized, and what is missing', () => {
  const body = answer(renderStreams([], { stats: STATS, categorize: true, warnings: ['late'] }));
  assert.deepEqual(body.data, { encodingFlags: ['categorize-labels'], resultType: 'streams', result: [] });
  assert.deepEqual(body.warnings, ['late']);
});

test('samples of a matrix carry seconds and texts', () => {
  const series = emptySeries([['__proto__', 'x"y']], 1, 4);
  series.values.set([0.1, Number.NaN, Number.NEGATIVE_INFINITY]);
  series.present.set([1, 0, 1]);
  const body = answer(
    renderMatrix({ steps: 4, series: [series] }, { startNs: 1_000_000_000n, endNs: 2_500_000_000n, stepNs: 500_250_999 }, { stats: STATS }),
  );
  assert.equal(
    JSON.stringify(body.data),
    '{"resultType":"matrix","result":[{"metric":{"__proto__":"x\\"y"},"values":[[1.5,"0.1"],[2.5,"-Inf"]]}]}',
  );
});

test('vectors and scalars', () => {
  const series = emptySeries(A, 0, 1);
  series.values[0] = 1e21;
  series.present[0] = 1;
  assert.deepEqual(answer(renderVector([series], 1_768_471_200_123_456_789n, { stats: STATS })).data, {
    resultType: 'vector',
    result: [{ metric: { app: 'a' }, value: [1768471200.123, '1000000000000000000000'] }],
  });
  assert.deepEqual(answer(renderScalar(Number.NaN, 5_000_000_000n, { stats: STATS })).data, { resultType: 'scalar', result: [5, 'NaN'] });
});

test('a large answer comes in chunks', () => {
  const entries = Array.from({ length: 5000 }, (_, index) => entry(BigInt(index), A, 'x'.repeat(200)));
  const chunks = renderStreams(entries, { stats: STATS, categorize: false });
  assert.ok(chunks.length > 3);
  assert.equal(answer(chunks).data.result[0].values.length, 5000);
});

test("statistics have Loki's names", () => {
  const { stats } = answer(renderScalar(1, 0n, { stats: STATS }));
  assert.deepEqual(Object.keys(stats), ['summary', 'querier', 'ingester', 'cache', 'index']);
  assert.deepEqual(stats.summary, {
    bytesProcessedPerSecond: 2_500_000,
    linesProcessedPerSecond: 50_000,
    totalBytesProcessed: 50_000,
    totalLinesProcessed: 1000,
    execTime: 0.02,
    queueTime: 0.001,
    subqueries: 4,
    totalEntriesReturned: 1,
    splits: 1,
    shards: 4,
    totalPostFilterLines: 10,
    totalStructuredMetadataBytesProcessed: 400,
  });
  assert.equal(stats.ingester.store.chunk.headChunkLines, 250);
  assert.equal(stats.querier.store.chunk.decompressedLines, 750);
});
