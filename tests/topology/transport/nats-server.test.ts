import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MiB } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { connectNats, type NatsOptions } from '../../../topology/nats/connect.ts';
import { NatsServer, startThreeNatsServers, withoutNats } from '../../support/nats.ts';
import { securedNats } from '../../support/nats-secured.ts';
import { message } from '../../support/transport-peer.ts';
import { type OpenedNats, openNatsTransport } from './nats-open.ts';

const world = realWorld();
const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
/** While both sides work hard. */
const PATIENT = { pingMs: 1_000, missed: 3 };
const later = () => ({ deadlineMs: world.clock.monotonicMs() + 60_000 });

/** Asks until it is answered: what fails meanwhile has to be retryable. */
async function eventually(ask: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      assert.ok(error instanceof Fault && error.retry, String(error));
      await sleep(20);
    }
  }
}

test('a server is killed: what is under way fails at once; when it is back, everything is', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const [near, far] = await Promise.all([openNatsTransport(server.url, 'one'), openNatsTransport(server.url, 'one')]);
  try {
    far.transport.serve('far/0', async ({ body }) => ((body as { wait: boolean }).wait ? new Promise(() => {}) : 'answer'));
    const heard: unknown[] = [];
    far.transport.subscribe('news', ({ body }) => heard.push(body));
    const ask = (wait: boolean) => near.transport.request('far/0', message({ kind: 'ask', wait }), later());
    assert.equal(await eventually(() => ask(false)), 'answer');
    const waiting = ask(true);
    await ask(false);
    const failed = assert.rejects(waiting, { code: 'unavailable', message: /NATS was lost/ });
    await server.kill();
    await failed;
    await assert.rejects(ask(false), { code: 'unavailable' });
    await server.restart();
    assert.equal(await eventually(() => ask(false)), 'answer');
    near.transport.publish('news', message({ kind: 'said' }));
    await ask(false);
    assert.equal(heard.length, 1);
  } finally {
    await Promise.all([near.close(), far.close()]);
  }
});

test('a process is killed: the server says at the first ping that nobody is there', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const process = fork(fileURLToPath(new URL('./peer-process.ts', import.meta.url)), [server.url, 'one']);
  const [near] = await Promise.all([openNatsTransport(server.url, 'one'), once(process, 'message')]);
  try {
    const asked = near.transport.request('peer/0', message({ kind: 'hang' }), later());
    const failed = assert.rejects(asked, { code: 'unavailable', message: /is gone/ });
    assert.equal(await near.transport.request('peer/0', message({ kind: 'echo', value: 1 }), later()), 1);
    process.kill('SIGKILL');
    await failed;
  } finally {
    process.kill('SIGKILL');
    await near.close();
  }
});

test('a process dies before it takes what it was asked: a probe tells that nobody is there', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const process = fork(fileURLToPath(new URL('./peer-process.ts', import.meta.url)), [server.url, 'one']);
  const [near] = await Promise.all([openNatsTransport(server.url, 'one'), once(process, 'message')]);
  try {
    assert.equal(await near.transport.request('peer/0', message({ kind: 'echo', value: 1 }), later()), 1);
    process.kill('SIGSTOP');
    const asked = near.transport.request('peer/0', message({ kind: 'echo', value: 2 }), later());
    const failed = assert.rejects(asked, { code: 'unavailable', message: /nothing serves/ });
    await near.brokers[1].connection.flush();
    process.kill('SIGKILL');
    await failed;
  } finally {
    process.kill('SIGKILL');
    await near.close();
  }
});

test('a server stands still: its peers lose it, and go on when it does', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const [near, far] = await Promise.all([openNatsTransport(server.url, 'one'), openNatsTransport(server.url, 'one')]);
  try {
    far.transport.serve('far/0', async () => 'answer');
    const ask = () => near.transport.request('far/0', message({ kind: 'ask' }), later());
    assert.equal(await eventually(ask), 'answer');
    server.signal('SIGSTOP');
    // Its threads may have answered one more before all of them stand.
    const unanswered = async (): Promise<never> => {
      for (;;) await ask();
    };
    await assert.rejects(unanswered(), { code: 'unavailable', message: /does not answer/ });
    server.signal('SIGCONT');
    assert.equal(await eventually(ask), 'answer');
  } finally {
    await Promise.all([near.close(), far.close()]);
  }
});

test('one of three servers dies: the others carry on', { skip: withoutNats }, async () => {
  const servers = await startThreeNatsServers();
  const opened: OpenedNats[] = [];
  try {
    const [first, second, third] = servers.map(({ url }) => url);
    const [near, far] = await Promise.all([openNatsTransport(`${first}`, 'one'), openNatsTransport(`${second}`, 'one')]);
    opened.push(near, far);
    far.transport.serve('far/0', async () => 'answer');
    const ask = () => near.transport.request('far/0', message({ kind: 'ask' }), later());
    assert.equal(await eventually(ask), 'answer');
    await servers[1].kill(); // the one that `far` is connected to
    assert.equal(await eventually(ask), 'answer');
    assert.notEqual(far.brokers[1].connection.getServer(), second);
    assert.ok([first, third].includes(far.brokers[1].connection.getServer()));
  } finally {
    await Promise.all(opened.map(({ close }) => close()));
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
});

test('many large streams at once, read slowly, do not cost the connection', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const [near, far] = await Promise.all([openNatsTransport(server.url, 'one', PATIENT), openNatsTransport(server.url, 'one', PATIENT)]);
  let lost = 0;
  for (const broker of [...near.brokers, ...far.brokers]) broker.whenLost(() => lost++);
  try {
    far.transport.serve('far/0', async function* () {
      for (let number = 0; number < 6; number++) yield { frame: Buffer.alloc(2 * MiB, number) };
    });
    await eventually(() =>
      near.transport.request('far/1', message({ kind: 'ask' }), later()).catch((error) => (error.code === 'unavailable' ? 1 : 0)),
    );
    const read = async (): Promise<number> => {
      let bytes = 0;
      for await (const item of near.transport.requestMany('far/0', message({ kind: 'ask' }), later())) {
        bytes += (item as { frame: Buffer }).frame.length;
        await sleep(10);
      }
      return bytes;
    };
    const sizes = await Promise.all(Array.from({ length: 12 }, read));
    assert.deepEqual(
      sizes,
      sizes.map(() => 12 * MiB),
    );
    assert.equal(lost, 0);
  } finally {
    await Promise.all([near.close(), far.close()]);
  }
});

for (const [what, set] of securedNats) {
  test(`connections with ${what}`, { skip: withoutNats }, async () => {
    const { config, right, wrong } = await set(folder);
    await using server = await NatsServer.start({ config, jetStream: false });
    const open = (options: Partial<NatsOptions>) => connectNats({ servers: [server.url], ...options }, 'test', noInstruments);
    const broker = await open(right);
    await broker.connection.flush();
    await broker.close();
    await assert.rejects(open(wrong));
    await assert.rejects(open({}));
  });
}
