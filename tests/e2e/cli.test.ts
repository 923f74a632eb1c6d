import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MiB } from '../../ops/base/bytes.ts';
import { LokiClient } from '../../ops/cli/client.ts';
import { TestServer } from '../support/server.ts';

const CLI = fileURLToPath(new URL('../../ops/cli.ts', import.meta.url));
const ALL_TIME = ['--from', '2000-01-01T00:00:00Z', '--to', '2035-01-01T00:00:00Z', '--limit', '0'];
const MAX_LINE = 256 * 1024;

let server: TestServer;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-cli-'));
  // The machine's logs are of any age, and a test of the command line is not one of rates.
  const flags = [
    '-validation.reject-old-samples=false',
    '-distributor.ingestion-rate-limit-mb=1000',
    '-distributor.ingestion-burst-size-mb=1000',
  ];
  server = await TestServer.start({ flags: [...flags, '-store.max-query-length=0'] });
});
after(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function begin(args: string[]): ChildProcess {
  return spawn(process.execPath, [CLI, ...args], { env: { ...process.env, LOKI_ADDR: server.url, TZ: 'UTC', NO_COLOR: '1' } });
}

async function finish(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout!), text(child.stderr!), exited]);
  return { code, out, err };
}

async function run(args: string[], input = ''): Promise<string> {
  const child = begin(args);
  child.stdin!.end(input);
  const { code, out, err } = await finish(child);
  assert.equal(code, 0, err);
  return out;
}

async function linesOf(file: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** Copies of text logs that this machine happens to have: copies, since some are being written. */
async function machineLogs(): Promise<string[]> {
  const copies: string[] = [];
  for (const place of ['/var/log', '/var/log/apt', join(homedir(), '.npm', '_logs')]) {
    for (const entry of await readdir(place, { withFileTypes: true }).catch(() => [])) {
      const file = join(place, entry.name);
      if (!entry.isFile() || !entry.name.endsWith('.log')) continue;
      const body = await readFile(file).catch(() => Buffer.alloc(0));
      if (body.length === 0 || body.length > 8 * MiB || !isUtf8(body) || body.includes(0)) continue;
      const copy = join(folder, `machine-${copies.length}-${entry.name}`);
      await writeFile(copy, body);
      if ((await linesOf(copy)).every((line) => Buffer.byteLength(line) <= MAX_LINE)) copies.push(copy);
    }
  }
  return copies.slice(0, 8);
}

test('logs of this machine come back line by line', async (context) => {
  const files = await machineLogs();
  if (files.length === 0) context.diagnostic('this machine has no readable logs');
  for (const [index, file] of files.entries()) {
    const lines = await linesOf(file);
    await run(['push', file, '--label', `file=f${index}`]);
    assert.equal(
      await run(['query', `{file="f${index}"}`, ...ALL_TIME, '--forward', '-o', 'raw']),
      lines.map((line) => `${line}\n`).join(''),
      file,
    );
    await run(['push', file, '--timestamp', '--label', `timed=f${index}`]);
    const timed = await run(['query', `{timed="f${index}"}`, ...ALL_TIME, '-o', 'raw']);
    assert.deepEqual(timed.split('\n').slice(0, -1).sort(), lines.toSorted(), file);
    context.diagnostic(`${basename(file)}: ${lines.length} lines`);
  }
});

const SECOND = (second: number): Date => new Date(Date.UTC(2026, 0, 15, 10, 0, second));
const made: [name: string, line: (second: number) => string][] = [
  [
    'access',
    (s) =>
      `10.0.0.${s % 256} - - [15/Jan/2026:10:${String(Math.floor(s / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')} +0000] "GET /${s} HTTP/1.1" 200 5`,
  ],
  ['pino', (s) => JSON.stringify({ level: 30, time: SECOND(s).getTime(), msg: `request ${s} "done"` })],
  ['logfmt', (s) => `level=info ts=${SECOND(s).toISOString()} msg="request ${s}"`],
  ['python', (s) => `${SECOND(s).toISOString().replace('T', ' ').replace('.', ',').slice(0, 23)} INFO request ${s}`],
];
for (const [name, line] of made) {
  test(`times are found in the lines: ${name}`, async () => {
    const file = join(folder, `${name}.log`);
    const lines = Array.from({ length: 3_000 }, (_, second) => line(second));
    await writeFile(file, lines.join('\n'));
    await run(['push', file, '--timestamp', '--label', `made=${name}`]);
    const minute = ['--from', SECOND(60).toISOString(), '--to', SECOND(120).toISOString()];
    assert.equal(await run(['query', `{made="${name}"}`, ...minute, '--forward', '-o', 'raw']), `${lines.slice(60, 120).join('\n')}\n`);
    assert.equal(await run(['query', `{made="${name}"}`, ...ALL_TIME, '--forward', '-o', 'raw']), `${lines.join('\n')}\n`);
    // The same file again holds the same entries.
    await run(['push', file, '--timestamp', '--label', `made=${name}`]);
    assert.equal(
      await run(['query', `sum(count_over_time({made="${name}"}[2h]))`, '--instant', '--to', SECOND(3_600).toISOString(), '-o', 'raw']),
      '3000\n',
    );
  });
}

test('equal lines of one moment stay apart', async () => {
  await run(['push', '-', '--timestamp', '--label', 'made=equal'], '2026-01-15T10:00:00Z again\n'.repeat(500));
  assert.equal((await run(['query', '{made="equal"}', ...ALL_TIME, '-o', 'raw'])).split('\n').length - 1, 500);
});

test('labels, series and output forms', async () => {
  await run(['push', '-', '--timestamp', '--label', 'made=forms', '--label', 'side=a'], '2026-01-15T10:00:00.5Z level=error one\n');
  const range = ['--from', SECOND(0).toISOString(), '--to', SECOND(60).toISOString()];
  assert.match(await run(['labels', ...range]), /^made$/m);
  assert.equal(await run(['labels', 'side', ...range]), 'a\n');
  const [stream] = (await run(['series', '{made="forms"}', ...range, '-o', 'jsonl'])).split('\n');
  assert.partialDeepStrictEqual(JSON.parse(stream), { made: 'forms', side: 'a' });
  assert.match(
    await run(['query', '{made="forms"}', ...range]),
    /^2026-01-15T10:00:00\.500Z \{.*made="forms".*\} 2026-01-15T10:00:00\.5Z level=error one\n$/,
  );
  assert.partialDeepStrictEqual(JSON.parse(await run(['query', '{made="forms"}', ...range, '-o', 'jsonl'])), {
    timestamp: '2026-01-15T10:00:00.500Z',
    line: '2026-01-15T10:00:00.5Z level=error one',
  });
  const table = await run(['query', 'sum by (side) (count_over_time({made="forms"}[1m]))', '--instant', '--to', SECOND(30).toISOString()]);
  assert.deepEqual(
    table.split('\n').map((row) => row.split(/ +/)),
    [['time', 'side', 'value'], ['2026-01-15T10:00:30.000Z', 'a', '1'], ['']],
  );
});

test('explain tells how a query went', async () => {
  const lines = Array.from({ length: 30 }, (_, index) => `level=info n=${index}\n`);
  await run(['push', '-', '--label', 'made=explained'], lines.join(''));
  // What the label filter asks for is tested where it is extracted.
  const text = await run(['explain', '{made="explained"} |= "n=1" | logfmt | n > 10']);
  assert.match(text, /^ +\| logfmt +rows +11 +9 /m);
  assert.match(text, /^ +\| n>10 +rows +9 +9 /m);
  assert.match(text, /^rows +30 looked at, 9 matched; 30 in memory, 0 duplicates$/m);
  const json = JSON.parse(await run(['explain', 'sum(count_over_time({made="explained"}[1h]))', '--instant', '--json']));
  assert.deepEqual([json.kind, json.rows.matched], ['metric', 30]);
});

test('a query the server refuses is one line and exit code 1', async () => {
  const child = begin(['query', '{app=']);
  child.stdin!.end();
  const { code, out, err } = await finish(child);
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /^millrace query: 400: parse error.*\n$/);
});

test('a push outlives the server: it waits, goes on, and every line is there once', async () => {
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${'x'.repeat(300)}`);
  const half = lines.length / 2;
  const child = begin(['push', '-', '--label', 'made=outlived']);
  const finished = finish(child);
  child.stdin!.write(
    lines
      .slice(0, half)
      .map((line) => `${line}\n`)
      .join(''),
  );
  // Some of it is there: then the server goes away, in the middle of what may come.
  const client = new LokiClient({ addr: server.url });
  const now = BigInt(Date.now()) * 1_000_000n;
  while ((await client.series(['{made="outlived"}'], { fromNs: now - 10n ** 12n, toNs: now + 10n ** 12n }))?.length !== 1);
  await server.process.kill();
  child.stdin!.end(
    lines
      .slice(half)
      .map((line) => `${line}\n`)
      .join(''),
  );
  await server.restart();
  const { code, err } = await finished;
  assert.equal(code, 0, err);
  assert.equal(await run(['query', '{made="outlived"}', ...ALL_TIME, '--forward', '-o', 'raw']), `${lines.join('\n')}\n`);
});
