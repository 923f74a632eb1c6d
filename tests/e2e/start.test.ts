import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { allEntries, get, mustPush, nowNs } from '../support/client.ts';
import { freePort } from '../support/ports.ts';
import { ServerProcess, TestServer } from '../support/server.ts';

let dataDir: string;
before(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-start-'));
  await writeFile(join(dataDir, 'file'), '');
});
after(() => rm(dataDir, { recursive: true, force: true }));

test('starts, is ready, says where to push and ask, and keeps what it was given over a clean stop', async (context) => {
  const started = performance.now();
  await using server = await TestServer.start();
  context.diagnostic(`ready after ${Math.round(performance.now() - started)} ms`);
  assert.match(server.process.output, new RegExp(`${server.port}/loki/api/v1/push`));
  const timeNs = nowNs();
  await mustPush(server.url, [{ stream: { app: 'start' }, values: [[String(timeNs), 'first']] }]);

  const { code, signal, tookMs } = await server.stop();
  context.diagnostic(`stopped after ${Math.round(tookMs)} ms`);
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.process.output);

  const again = performance.now();
  await server.restart();
  context.diagnostic(`ready again after ${Math.round(performance.now() - again)} ms`);
  const entries = await allEntries(server.url, '{app="start"}', { fromNs: timeNs, toNs: timeNs + 1n });
  assert.deepEqual(
    entries.map(({ line }) => line),
    ['first'],
  );
});

test('Ctrl-C stops it as SIGTERM does', async () => {
  await using server = await TestServer.start();
  server.process.signal('SIGINT');
  assert.deepEqual(await server.process.ends(20_000), { code: 0, signal: null }, server.process.output);
});

test('a second process on the same data refuses to start', async () => {
  await using server = await TestServer.start();
  const { output, code } = await failedStart([`-server.http-listen-port=${await freePort()}`, `-common.path-prefix=${server.dataDir}`]);
  assert.equal(code, 1, output);
  assert.ok(output.includes(server.dataDir), output);
  assert.equal((await get(server.url, '/ready')).status, 200);
});

const refused: [what: string, flags: (port: number) => string[], message: (port: number) => RegExp][] = [
  ['an unknown flag', () => ['-no.such-flag=1'], () => /no\.such-flag/],
  ['a bad value', () => ['-validation.reject-old-samples=perhaps'], () => /reject-old-samples.*perhaps|perhaps.*reject-old-samples/s],
  ['a configuration file that is not there', () => ['-config.file=/none/such.yaml'], () => /\/none\/such\.yaml/],
  ['a data folder that cannot be made', () => [`-common.path-prefix=${join(dataDir, 'file', 'data')}`], () => /file\/data/],
];
for (const [what, flags, message] of refused) {
  test(`refuses to start: ${what}`, async () => {
    const port = await freePort();
    const { output, code } = await failedStart([`-server.http-listen-port=${port}`, `-common.path-prefix=${dataDir}`, ...flags(port)]);
    assert.equal(code, 1, output);
    assert.match(output, message(port));
  });
}

test('refuses to start: the port is taken', async () => {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  const { port } = blocker.address() as { port: number };
  const { output, code } = await failedStart([
    `-server.http-listen-port=${port}`,
    '-server.http-listen-address=127.0.0.1',
    `-common.path-prefix=${dataDir}`,
  ]);
  blocker.close();
  assert.equal(code, 1, output);
  assert.match(output, new RegExp(`${port}.*in use|in use.*${port}`, 's'));
});

/** Runs a start that should fail; the message is for people, so no stack trace may be in it. */
async function failedStart(flags: string[]): Promise<{ output: string; code: number | null }> {
  const attempt = new ServerProcess(flags);
  const { code } = await attempt.ends(20_000);
  assert.doesNotMatch(attempt.output, /^\s+at /m);
  return { output: attempt.output, code };
}
