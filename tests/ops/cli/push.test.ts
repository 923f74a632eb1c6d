import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { refusedEntries } from '../../../ops/cli/push.ts';
import { cli } from '../../../ops/cli.ts';

interface Seen {
  tenant: string | undefined;
  streams: { stream: Record<string, string>; values: [time: string, line: string][] }[];
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
});
after(() => rm(folder, { recursive: true }));

/** A server that answers pushes as told, 204 once the answers are used up, and keeps what it accepted. */
async function pushServer(answers: { status: number; text?: string; retryAfter?: string }[] = []) {
  const seen: Seen[] = [];
  const receive = async (request: IncomingMessage): Promise<Seen> => {
    const body = await buffer(request);
    return { tenant: request.headers['x-scope-orgid'] as string | undefined, ...JSON.parse(gunzipSync(body).toString()) };
  };
  const server = createServer(async (request, response) => {
    const push = await receive(request);
    const answer = answers.shift() ?? { status: 204 };
    if (answer.status === 0) {
      request.socket.destroy();
      return;
    }
    if (answer.status === 204) seen.push(push);
    response.writeHead(answer.status, answer.retryAfter === undefined ? {} : { 'retry-after': answer.retryAfter }).end(answer.text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    seen,
    lines: () => seen.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line))),
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

async function closedServer(): Promise<{ address: string }> {
  await using server = await pushServer();
  return { address: server.address };
}

async function run(args: string[], input = '') {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const outputs = Promise.all([text(stdout), text(stderr)]);
  const code = await cli(args, { stdin: Readable.from([Buffer.from(input)]), stdout, stderr, env: {} });
  stdout.end();
  stderr.end();
  const [out, err] = await outputs;
  return { code, out, err };
}

test('pushes files and standard input, in order, under the labels and tenant given', async () => {
  await using server = await pushServer();
  await writeFile(join(folder, 'a.log'), 'one\ntwo\n\ntwo\n');
  const { code, err } = await run(
    ['push', join(folder, 'a.log'), '-', '--label', 'app=x', '--label', 'pair=a=b', '--addr', server.address, '--tenant', 'team'],
    'three',
  );
  assert.equal(code, 0, err);
  assert.deepEqual(server.lines(), ['one', 'two', '', 'two', 'three']);
  assert.deepEqual(server.seen[0].streams[0].stream, { app: 'x', pair: 'a=b' });
  assert.equal(server.seen[0].tenant, 'team');
  const times = server.seen.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([time]) => BigInt(time))));
  assert.equal(new Set(times).size, 5);
  assert.match(err, /^pushed 5 entries/m);
});

test('splits what is large and sends all of it', async () => {
  await using server = await pushServer();
  const lines = Array.from({ length: 4_000 }, (_, index) => `${index} ${'x'.repeat(1_000)}`);
  const { code } = await run(['push', '-', '--label', 'app=x', '--addr', server.address], lines.join('\n'));
  assert.equal(code, 0);
  assert.ok(server.seen.length >= 4);
  assert.deepEqual(new Set(server.lines()), new Set(lines));
});

test('takes times from the lines when told to', async () => {
  await using server = await pushServer();
  const input = '2026-01-15T10:00:00Z a\n  at b\n2026-01-15T10:00:00Z c\n{"ts":1768471201,"m":"d"}\n';
  await run(['push', '-', '--timestamp', '--label', 'app=x', '--addr', server.address], input);
  assert.deepEqual(
    server.seen[0].streams[0].values.map(([time]) => time),
    ['1768471200000000000', '1768471200000000001', '1768471200000000002', '1768471201000000000'],
  );
});

test('waits and resumes after 429, 503 and a cut connection', async () => {
  await using server = await pushServer([
    { status: 429, retryAfter: '0', text: 'slow down' },
    { status: 503, retryAfter: '0' },
    { status: 503, retryAfter: new Date(Date.now() - 1_000).toUTCString() },
    { status: 0 },
  ]);
  const { code, err } = await run(['push', '-', '--label', 'app=x', '--addr', server.address], 'a\nb\n');
  assert.equal(code, 0, err);
  assert.deepEqual(server.lines(), ['a', 'b']);
  assert.match(err, /waiting .*429 slow down/);
  assert.match(err, /4 retries/);
});

test('reports what was refused for good, and fails', async () => {
  await using server = await pushServer([{ status: 400, text: "user 'fake', total ignored: 1 out of 2 for stream: {}" }]);
  const { code, err } = await run(['push', '-', '--label', 'app=x', '--addr', server.address], 'a\nb\n');
  assert.equal(code, 1);
  assert.match(err, /pushed 1 entries/);
  assert.match(err, /refused 1 entries: 400 user 'fake'/);
});

test('gives up on a server that stays away, and says so', async () => {
  const { address } = await closedServer();
  const { code, err } = await run(['push', '-', '--label', 'app=x', '--addr', address, '--give-up', '1ms'], 'a\n');
  assert.equal(code, 1);
  assert.match(err, /gave up after 1 attempts: .*ECONNREFUSED/);
  assert.match(err, /pushed 0 entries/);
});

const refusals: [text: string, entries: number, refused: { entries: number; exact: boolean }][] = [
  ['total ignored: 2 out of 9 for stream: {a="b"}', 9, { entries: 2, exact: true }],
  ['total ignored: 2 out of 5 for stream: {}\ntotal ignored: 1 out of 4 for stream: {}', 9, { entries: 3, exact: true }],
  ['max entry size exceeded', 9, { entries: 9, exact: false }],
  ['max entry size exceeded', 1, { entries: 1, exact: true }],
];
for (const [why, entries, refused] of refusals)
  test(`refused entries: ${why} of ${entries}`, () => assert.deepEqual(refusedEntries(why, entries), refused));

const wrong: [what: string, args: string[], message: RegExp][] = [
  ['no command', [], /usage: millrace COMMAND/],
  ['an unknown command', ['pull'], /no such command: pull/],
  ['push without files', ['push', '--label', 'a=b'], /no file given/],
  ['push without labels', ['push', '-'], /at least one --label/],
  ['a label without a name', ['push', '-', '--label', '=x'], /NAME=VALUE, not =x/],
  ['an unknown format', ['push', '-', '--label', 'a=b', '--format', 'xml'], /--format is one of auto, json, logfmt, plain/],
  ['an unknown option', ['query', '--nope'], /Unknown option '--nope'/],
  ['two queries', ['query', '{a="b"}', '{c="d"}'], /one query is wanted/],
  ['a wrong duration', ['query', '{a="b"}', '--since', 'long'], /--since is not a duration: long/],
  ['a wrong time', ['query', '{a="b"}', '--from', 'noon'], /--from is not a time: noon/],
  ['an empty range', ['query', '{a="b"}', '--from', '1768471201', '--to', '1768471200'], /time range is empty/],
  ['a wrong output', ['labels', '-o', 'xml'], /--output is one of default, raw, jsonl/],
  ['series without selectors', ['series'], /at least one selector/],
];
for (const [what, args, message] of wrong) {
  test(`usage: ${what}`, async () => {
    const { code, out, err } = await run(args);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, message);
  });
}

for (const command of ['push', 'query', 'labels', 'series']) {
  test(`help: ${command}`, async () => {
    const { code, out } = await run([command, '--help']);
    assert.equal(code, 0);
    assert.match(out, new RegExp(`^usage: millrace ${command}`));
  });
}

test('a file that is not there is a failure in one line', async () => {
  assert.deepEqual(await run(['push', join(folder, 'none.log'), '--label', 'a=b']), {
    code: 1,
    out: '',
    err: `millrace push: no such file: ${join(folder, 'none.log')}\n`,
  });
});
