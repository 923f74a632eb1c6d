import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser } from '@nats-io/nkeys';
import { MiB } from '../../../ops/base/bytes.ts';
import { Fault } from '../../../ops/base/fault.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { connectNats, type NatsOptions } from '../../../topology/nats/connect.ts';
import { NatsServer, withoutNats } from '../../support/nats.ts';
import { freePort } from '../../support/ports.ts';
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

test('a server stands still: its peers lose it, and go on when it does', { skip: withoutNats }, async () => {
  await using server = await NatsServer.start();
  const [near, far] = await Promise.all([openNatsTransport(server.url, 'one'), openNatsTransport(server.url, 'one')]);
  try {
    far.transport.serve('far/0', async () => 'answer');
    const ask = () => near.transport.request('far/0', message({ kind: 'ask' }), later());
    assert.equal(await eventually(ask), 'answer');
    server.signal('SIGSTOP');
    await assert.rejects(ask(), { code: 'unavailable', message: /does not answer/ });
    server.signal('SIGCONT');
    assert.equal(await eventually(ask), 'answer');
  } finally {
    await Promise.all([near.close(), far.close()]);
  }
});

test('one of three servers dies: the others carry on', { skip: withoutNats }, async () => {
  const routes = [await freePort(), await freePort(), await freePort()];
  const servers = await Promise.all(
    routes.map((port, index) =>
      NatsServer.start({
        flags: [
          ...['--cluster', `nats://127.0.0.1:${port}`, '--cluster_name', 'three', '--name', `server-${index}`],
          ...['--routes', routes.map((route) => `nats://127.0.0.1:${route}`).join(',')],
        ],
      }),
    ),
  );
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

/** How a server and its clients are set up. */
interface Secured {
  readonly config: string;
  readonly right: Partial<NatsOptions>;
  readonly wrong: Partial<NatsOptions>;
}

const written = (name: string, text: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const nkeyFile = (name: string, seed: Uint8Array): string => written(name, seed);

const UNLIMITED = { conn: -1, leaf: -1, imports: -1, exports: -1, subs: -1, data: -1, payload: -1, wildcards: true };

async function withCredentials(): Promise<Secured> {
  const [operator, account, system, user, stranger] = [createOperator(), createAccount(), createAccount(), createUser(), createUser()];
  const operatorJwt = await encodeOperator('millrace', operator, { system_account: system.getPublicKey() });
  const jwtOf = (name: string, key: typeof account) => encodeAccount(name, key, { limits: UNLIMITED }, { signer: operator });
  const strangerJwt = await encodeUser('process', stranger, createAccount(), {});
  const userJwt = await encodeUser('process', user, account, {});
  return {
    config: `operator: ${written('operator.jwt', operatorJwt)}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: ${await jwtOf('logs', account)}, ${system.getPublicKey()}: ${await jwtOf('system', system)} }`,
    right: { credentialsFile: written('right.creds', fmtCreds(userJwt, user)) },
    wrong: { credentialsFile: written('wrong.creds', fmtCreds(strangerJwt, stranger)) },
  };
}

function withNkeys(): Secured {
  const [user, stranger] = [createUser(), createUser()];
  return {
    config: `authorization: { users: [ { nkey: ${user.getPublicKey()} } ] }`,
    right: { nkeyFile: nkeyFile('right.nk', user.getSeed()) },
    wrong: { nkeyFile: nkeyFile('wrong.nk', stranger.getSeed()) },
  };
}

function withTls(): Secured {
  const [key, cert] = certificate('right');
  const [, other] = certificate('wrong');
  return {
    config: `tls: { cert_file: "${cert}", key_file: "${key}", ca_file: "${cert}", verify: true }`,
    right: { tls: { caFile: cert, certFile: cert, keyFile: key } },
    wrong: { tls: { caFile: other, certFile: cert, keyFile: key } },
  };
}

/** Signed by itself. */
function certificate(name: string): [key: string, cert: string] {
  const [key, cert] = [`${name}-key.pem`, `${name}.pem`].map((file) => join(folder, file));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', ...subject], {
    stdio: 'ignore',
  });
  return [key, cert];
}

const secured: [what: string, set: () => Secured | Promise<Secured>][] = [
  [
    'user and password',
    () => ({
      config: 'authorization: { user: millrace, password: "correct horse" }',
      right: { user: 'millrace', password: 'correct horse' },
      wrong: { user: 'millrace', password: 'wrong' },
    }),
  ],
  ['an nkey', withNkeys],
  ['a credentials file', withCredentials],
  ['TLS with certificates of both sides', withTls],
];
for (const [what, set] of secured) {
  test(`connections with ${what}`, { skip: withoutNats }, async () => {
    const { config, right, wrong } = await set();
    await using server = await NatsServer.start({ config, jetStream: false });
    const open = (options: Partial<NatsOptions>) => connectNats({ servers: [server.url], ...options }, 'test', noInstruments);
    const broker = await open(right);
    await broker.connection.flush();
    await broker.close();
    await assert.rejects(open(wrong));
    await assert.rejects(open({}));
  });
}
