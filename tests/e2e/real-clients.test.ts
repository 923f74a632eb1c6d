import assert from 'node:assert/strict';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import pino from 'pino';
import winston from 'winston';
import LokiTransport from 'winston-loki';
import { allEntries, nowNs, secondsNs } from '../support/client.ts';
import { messages } from '../support/messages.ts';
import { TestServer } from '../support/server.ts';

let server: TestServer;
before(async () => {
  server = await TestServer.start();
});
after(() => server[Symbol.asyncDispose]());

async function linesOf(selector: string): Promise<string[]> {
  const range = { fromNs: nowNs() - secondsNs(600), toNs: nowNs() + secondsNs(600) };
  return (await allEntries(server.url, selector, range)).map(({ line }) => line);
}

for (const json of [true, false]) {
  test(`winston-loki, ${json ? 'JSON' : 'protobuf'}: what was logged is read back byte for byte`, async () => {
    const app = `winston-${json ? 'json' : 'proto'}`;
    const failures: unknown[] = [];
    const transport = new LokiTransport({
      host: server.url,
      labels: { app },
      json,
      interval: 1,
      gracefulShutdown: false,
      format: winston.format.printf(({ message }) => `${message}`),
      onConnectionError: (error) => failures.push(error),
    });
    const logger = winston.createLogger({ level: 'debug', transports: [transport] });
    for (const [index, message] of messages.entries()) {
      logger.info(`${index} ${message}`, { request: `r${index}`, nested: { deep: true } });
      logger.warn(`${index} ${message}`);
    }
    await transport.flush();
    logger.close();
    assert.deepEqual(failures, []);
    const sent = messages.map((message, index) => `${index} ${message}`);
    assert.deepEqual((await linesOf(`{app="${app}", level="info"}`)).sort(), sent.toSorted());
    assert.deepEqual((await linesOf(`{app="${app}", level="warn"}`)).sort(), sent.toSorted());
  });
}

test('winston-loki: metadata is found by its values', async () => {
  assert.deepEqual(await linesOf('{app="winston-json"} | request="r0" | nested="{\\"deep\\":true}"'), ['0 plain']);
});

test('pino-loki, as a transport on its worker thread: what was logged is read back byte for byte', async () => {
  const transport = pino.transport({
    target: 'pino-loki',
    options: { host: server.url, labels: { app: 'pino' }, batching: { interval: 1 } },
  });
  const written: string[] = [];
  const copy = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk).trimEnd());
      done();
    },
  });
  const logger = pino(
    { level: 'trace' },
    pino.multistream([
      { stream: transport, level: 'trace' },
      { stream: copy, level: 'trace' },
    ]),
  );
  for (const [index, message] of messages.entries()) logger.info({ index, list: ['a', 1], error: new Error('boom').message }, message);
  logger.error({ err: new Error('with a stack') }, 'failed');
  transport.end();
  await once(transport, 'close');

  // The client takes the host name out of the record and makes a label of it.
  const expected = written.map((line) => {
    const { hostname: _hostname, ...record } = JSON.parse(line);
    return JSON.stringify(record);
  });
  assert.equal(expected.length, messages.length + 1);
  assert.deepEqual((await linesOf(`{app="pino", hostname="${hostname()}"}`)).sort(), expected.toSorted());
  assert.deepEqual(await linesOf('{app="pino", level="error"} | json | msg="failed"'), expected.slice(-1));
});
