import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { MiB } from '../../ops/base/bytes.ts';
import { bombs } from '../support/bombs.ts';
import { type Answer, allEntries, countEntries, get, mustPush, nowNs, push, pushBody, secondsNs } from '../support/client.ts';
import { TestServer } from '../support/server.ts';

const MEMORY_LIMIT = 600 * MiB;
const proto = { 'content-type': 'application/x-protobuf' };

let server: TestServer;
let bystander: Bystander;
let peak = 0;

before(async () => {
  server = await TestServer.start();
});
beforeEach(() => {
  bystander = new Bystander(server.url);
});
afterEach(async (context) => {
  await bystander.stop();
  const before = peak;
  peak = server.process.peakMemory();
  if (peak - before > 20 * MiB && 'diagnostic' in context) context.diagnostic(`peak memory grew to ${Math.round(peak / MiB)} MiB`);
});
after(async () => {
  await server[Symbol.asyncDispose]();
  assert.ok(peak <= MEMORY_LIMIT, `the process took ${Math.round(peak / MiB)} MiB at its peak`);
});

/** Another client of the same server: pushes an entry and reads it back, over and over, while others misbehave. */
class Bystander {
  readonly #url: string;
  readonly #looping: Promise<void>;
  #stopped = false;
  #served = 0;

  constructor(url: string) {
    this.#url = url;
    this.#looping = this.#loop();
    this.#looping.catch(() => undefined); // stop() reports it
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const line = `bystander ${nowNs()} ${this.#served}`;
      const timeNs = nowNs();
      await mustPush(this.#url, [{ stream: { app: 'bystander' }, values: [[String(timeNs), line]] }]);
      const found = await allEntries(this.#url, `{app="bystander"} |= "${line}"`, { fromNs: timeNs, toNs: timeNs + 1n });
      assert.equal(found.length, 1);
      this.#served += 1;
      await sleep(5);
    }
  }

  /** Rejects if any of its requests failed, or if it was never served. */
  async stop(): Promise<void> {
    while (this.#served === 0) await Promise.race([this.#looping, sleep(5)]);
    this.#stopped = true;
    await this.#looping;
  }
}

/** A push body with one stream of one entry, as JSON text. */
const one = (parts: { labels?: string; time?: string; line?: string; more?: string } = {}): string =>
  `{"streams":[{"stream":${parts.labels ?? '{"app":"bad"}'},"values":[[${parts.time ?? `"${nowNs()}"`},${parts.line ?? '"x"'}${parts.more ?? ''}]]}]}`;

const bytes = (...parts: (string | number[])[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part)))));

/** A snappy block of literals: protobuf bodies come in one. */
function literal(content: readonly number[]): number[] {
  assert.ok(content.length <= 60);
  return [content.length, (content.length - 1) << 2, ...content];
}

type Body = string | Uint8Array<ArrayBuffer>;
const refused: [what: string, body: () => Body, headers: Record<string, string>, status: number, message: RegExp][] = [
  ['JSON cut short', () => '{"streams":[{"stream":{"app":"bad"},"values":[["1', {}, 400, /JSON|json|EOF|end/],
  ['no JSON at all', () => 'hello', {}, 400, /./],
  ['an empty body', () => '', {}, 400, /./],
  ['a time as a number', () => one({ time: '1768471200000000000' }), {}, 400, /./],
  ['a time that is a word', () => one({ time: '"noon"' }), {}, 400, /./],
  ['a time beyond 64 bits', () => one({ time: '"99999999999999999999999"' }), {}, 400, /./],
  ['a time in the far future', () => one({ time: '"4102444800000000000"' }), {}, 400, /timestamp too new|too_far_in_future/],
  ['a time long ago', () => one({ time: '"1000000000000000000"' }), {}, 400, /timestamp too old|greater_than_max_sample_age/],
  ['a negative time', () => one({ time: '"-5"' }), {}, 400, /./],
  ['a line that is a number', () => one({ line: '5' }), {}, 400, /./],
  ['metadata that is no map', () => one({ more: ',"x"' }), {}, 400, /./],
  ['a line over the limit', () => one({ line: JSON.stringify('x'.repeat(300 * 1024)) }), {}, 400, /[Mm]ax entry size/],
  ['a label name of 1 MB', () => one({ labels: `{"${'n'.repeat(1_000_000)}":"v"}` }), {}, 400, /label name too long/],
  ['a label value of 1 MB', () => one({ labels: `{"app":"${'v'.repeat(1_000_000)}"}` }), {}, 400, /label value too long/],
  [
    'a hundred labels',
    () => one({ labels: JSON.stringify(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`l${n}`, 'v']))) }),
    {},
    400,
    /label names/,
  ],
  ['arrays nested a million deep', () => '['.repeat(1_000_000), {}, 400, /./],
  [
    'objects nested a million deep in an unknown field',
    () => `{"x":${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)},"streams":[]}`,
    {},
    400,
    /./,
  ],
  ['metadata nested a million deep', () => one({ more: `,{"a":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}` }), {}, 400, /./],
  ['no snappy', () => bytes('hello, this is no snappy block'), proto, 400, /snappy|proto/],
  ['snappy that promises 4 GiB', () => bytes([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x20]), proto, 400, /snappy/],
  ['snappy that ends early', () => bytes([0x20, 0x7c, 0x61]), proto, 400, /snappy/],
  ['protobuf cut short', () => bytes(literal([0x0a, 0x20, 0x0a, 0x05])), proto, 400, /proto/],
  ['a length beyond the end', () => bytes(literal([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07])), proto, 400, /proto/],
  ['a varint that does not end', () => bytes(literal(new Array<number>(40).fill(0xff))), proto, 400, /proto/],
  ['groups nested in protobuf', () => bytes(literal(new Array<number>(60).fill(0x0b))), proto, 400, /proto/],
  [
    'labels of protobuf that are not UTF-8',
    () => bytes(literal([0x0a, 0x09, 0x0a, 0x07, 0x7b, 0x61, 0x3d, 0x22, 0xff, 0x22, 0x7d])),
    proto,
    400,
    /UTF-8/,
  ],
  ['labels of protobuf that do not parse', () => bytes(literal([0x0a, 0x05, 0x0a, 0x03, 0x7b, 0x61, 0x7d])), proto, 400, /parse/],
  ['gzip that is none', () => 'hello', { 'content-encoding': 'gzip' }, 400, /gzip/],
  ['gzip cut short', () => bytes([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab]), { 'content-encoding': 'gzip' }, 400, /gzip/],
  ['zstd that is none', () => 'hello', { 'content-encoding': 'zstd' }, 400, /zstd/],
  ['an encoding nobody knows', () => 'hello', { 'content-encoding': 'br' }, 400, /br/],
];
for (const [what, body, headers, status, message] of refused) {
  test(`refused: ${what}`, async () => check(await pushBody(server.url, body(), headers), status, message));
}

/** Bodies of 60 MiB that are small on the wire and would be large if each of their parts became an object. */
const swelling: [what: string, head: string, part: string, tail: string, status: number][] = [
  ['streams', '{"streams":[', '{},', '{}]}', 204],
  ['strings nobody knows', '{"x":[', '"",', '""],"streams":[]}', 422],
  ['metadata', `{"streams":[{"values":[["${nowNs()}","x",{`, '"a":"",', '"a":""}]]}]}', 413],
  ['labels', '{"streams":[{"stream":{', '"a":"",', '"a":""},"values":[]}]}', 413],
];
for (const [what, head, part, tail, status] of swelling) {
  test(`millions of ${what} in one push`, async () => {
    const body = gzipSync(Buffer.concat([bytes(head), Buffer.alloc(60 * MiB - ((60 * MiB) % part.length), part), bytes(tail)]), {
      level: 1,
    });
    const answer = await pushBody(server.url, Uint8Array.from(body), { 'content-encoding': 'gzip' });
    assert.equal(answer.status, status, answer.text.slice(0, 500));
  });
}

for (const encoding of ['gzip', 'deflate', 'zstd', 'snappy'] as const) {
  test(`refused: a bomb in ${encoding}, eight at once`, async () => {
    const body = await bombs[encoding]((1024 * MiB) / (encoding === 'snappy' ? 2 : 1));
    const headers = encoding === 'snappy' ? proto : { 'content-encoding': encoding };
    const answers = await Promise.all(Array.from({ length: 8 }, () => pushBody(server.url, body, headers)));
    // More than fits into memory at once may be told to come again.
    for (const answer of answers) if (answer.status !== 429) check(answer, 413, /too large/);
    assert.ok(answers.some(({ status }) => status === 413));
  });
}

test('refused: a body over the limit, without reading it all into memory', async () => {
  const answer = await pushBody(server.url, new Uint8Array(150 * MiB).fill(0x20)).catch((error: unknown) => error);
  // The server may close the connection while the client is still sending.
  if (!(answer instanceof Error)) check(answer as Answer, 413, /too large/);
});

test('lines that are not UTF-8 are taken, and an answer with them is still JSON', async () => {
  const time = nowNs();
  const body = bytes(`{"streams":[{"stream":{"app":"latin"},"values":[["${time}","caf`, [0xe9], '"]]}]}');
  check(await pushBody(server.url, body), 204, /^$/);
  const [entry] = await allEntries(server.url, '{app="latin"}', { fromNs: time, toNs: time + 1n });
  assert.ok(entry.line.startsWith('caf'));
});

test('ten thousand entries, each with a metadata key of its own, are taken and found', async () => {
  const now = nowNs();
  const values = Array.from({ length: 10_000 }, (_, index) => [String(now + BigInt(index)), 'line', { [`key_${index}`]: 'value' }]);
  check(await pushBody(server.url, JSON.stringify({ streams: [{ stream: { app: 'keys' }, values }] })), 204, /^$/);
  const range = { fromNs: now - secondsNs(1), toNs: now + secondsNs(1) };
  assert.equal(await countEntries(server.url, '{app="keys"} |= "line"', range), 10_000);
  assert.ok((await fetch(`${server.url}/flush`, { method: 'POST' })).ok);
  assert.equal(await countEntries(server.url, '{app="keys"}', range), 10_000);
});

test('labels whose names are no identifiers are taken, and the store goes on with them', async () => {
  const time = nowNs();
  check(await pushBody(server.url, one({ labels: '{"app":"odd","\\"b c\\"":"1"}', time: `"${time}"` })), 204, /^$/);
  const [entry] = await allEntries(server.url, '{app="odd"}', { fromNs: time, toNs: time + 1n });
  assert.equal(entry.labels['b c'], '1');
});

test('a hundred thousand streams: those beyond the limit are refused as such', async () => {
  const now = nowNs();
  const statuses = new Map<number, number>();
  let message = '';
  for (let from = 0; from < 100_000; from += 5_000) {
    const streams = Array.from({ length: 5_000 }, (_, index) => ({
      stream: { app: 'many', id: `s${from + index}` },
      values: [[String(now), `line of ${from + index}`]] as [string, string][],
    }));
    const answer = await push(server.url, streams);
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    if (answer.status === 429) message = answer.text;
  }
  assert.deepEqual(
    [...statuses.keys()].filter((status) => status !== 204 && status !== 429),
    [],
  );
  assert.match(message, /[Mm]aximum active stream limit exceeded/);
  assert.ok((await countEntries(server.url, '{app="many"}', { fromNs: now - secondsNs(60), toNs: now + secondsNs(60) })) <= 5_000);
});

const queries: [what: string, path: string, params: Record<string, string>, message: RegExp][] = [
  ['a query that does not parse', 'query_range', { query: '{app="x"' }, /parse error/],
  ['a query nested ten thousand deep', 'query_range', { query: `${'('.repeat(10_000)}rate({a="b"}[1m])${')'.repeat(10_000)}` }, /./],
  ['a regular expression that does not parse', 'query_range', { query: '{app=~"("}' }, /parse error|regexp/],
  ['a time that is none', 'query_range', { query: '{app="x"}', start: 'yesterday' }, /./],
  ['a limit that is none', 'query_range', { query: '{app="x"}', limit: 'many' }, /./],
  ['an end before the start', 'query_range', { query: '{app="x"}', start: '200', end: '100' }, /./],
  ['too many points', 'query_range', { query: 'rate({app="x"}[1m])', start: '1', end: '2000000', step: '1' }, /11,?000/],
  ['series of a selector that is none', 'series', { 'match[]': '{app=' }, /syntax error/],
];
for (const [what, path, params, message] of queries) {
  test(`refused: ${what}`, async () => check(await get(server.url, `/loki/api/v1/${path}`, params), 400, message));
}

/** The status, a message for people, and nothing of the inside in it. */
function check({ status, text }: Answer, expected: number, message: RegExp): void {
  assert.equal(status, expected, text.slice(0, 500));
  assert.match(text, message);
  assert.ok(text.length <= 16_384, `a message of ${text.length} characters`);
  assert.doesNotMatch(text, /\bat .*\.ts:\d+|TypeError|RangeError|undefined/);
}
