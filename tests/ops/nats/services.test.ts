import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect, createInbox, type NatsConnection, headers as newHeaders } from 'nats';
import { nowNs } from '../../support/client.ts';
import { NatsServer, withoutNats } from '../../support/nats.ts';
import { TestServer } from '../../support/server.ts';

// Everything that a client does here it does with the plain `nats` package.

/** The cluster's own account, that of the services, and one for each of two tenants, who reach nothing but the services under their own name. */
const ACCOUNTS = `
accounts {
  CLUSTER { jetstream: enabled, users: [ { user: cluster, password: inside } ] }
  LOGS {
    users: [ { user: services, password: served } ]
    exports: [
      { service: "logs.team-a.>", accounts: [A], response_type: stream }
      { service: "logs.team-b.>", accounts: [B], response_type: stream }
    ]
  }
  A { users: [ { user: a, password: a } ], imports: [ { service: { account: LOGS, subject: "logs.team-a.>" } } ] }
  B { users: [ { user: b, password: b } ], imports: [ { service: { account: LOGS, subject: "logs.team-b.>" } } ] }
}`;

const objectFolder = mkdtempSync(join(tmpdir(), 'millrace-services-'));

const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(objectFolder, { recursive: true, force: true });
});

async function client(nats: NatsServer, user?: string): Promise<NatsConnection> {
  const connection = await connect({ servers: nats.url, ...(user !== undefined && { user, pass: user === 'services' ? 'served' : user }) });
  closing.push(() => connection.close());
  return connection;
}

/** A NATS server over which a process that is alone serves clients. */
async function served(): Promise<NatsServer> {
  const nats = await NatsServer.start();
  closing.push(() => nats[Symbol.asyncDispose]());
  const server = await TestServer.start({ flags: ['-nats.services.enabled', `-nats.services.servers=${nats.url}`] });
  closing.push(() => server[Symbol.asyncDispose]());
  return nats;
}

const pushOf = (lines: readonly string[], app = 'a') =>
  JSON.stringify({ streams: [{ stream: { app }, values: lines.map((line) => [String(nowNs()), line]) }] });

/** As much of answers as is looked at here. */
interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: its shape is another one for each question
  data: any;
  entries: number;
}

async function asked(connection: NatsConnection, subject: string, params: object): Promise<Answer> {
  const reply = await connection.request(subject, JSON.stringify(params), { timeout: 10_000 });
  const code = reply.headers?.get('Nats-Service-Error-Code');
  assert.ok(!code, `${code}: ${reply.headers?.get('Nats-Service-Error')}`);
  return reply.json();
}

async function refused(connection: NatsConnection, subject: string, body: string): Promise<[code: string, text: string]> {
  const { headers } = await connection.request(subject, body, { timeout: 10_000 });
  return [headers?.get('Nats-Service-Error-Code') ?? '', headers?.get('Nats-Service-Error') ?? ''];
}

test('a process that is alone: a client pushes, queries, tails, and finds the services', { skip: withoutNats }, async () => {
  const one = await client(await served());
  const inbox = createInbox();
  const tail = one.subscribe(inbox);
  one.publish('logs.fake.tail', JSON.stringify({ query: '{app="a"}' }), { reply: inbox });
  await one.flush();
  const lines = ['first', 'second', 'zażółć 🪵'];
  await one.request('logs.fake.push', pushOf(lines));
  const { data } = await asked(one, 'logs.fake.query_range', { query: '{app="a"}', limit: 10, direction: 'forward' });
  assert.deepEqual(
    data.result.flatMap(({ values }: { values: [string, string][] }) => values.map(([, line]) => line)),
    lines,
  );
  const counted = await asked(one, 'logs.fake.query', { query: 'sum(count_over_time({app="a"}[1h]))' });
  assert.equal(counted.data.result[0].value[1], '3');
  assert.deepEqual((await asked(one, 'logs.fake.labels', {})).data, ['app', 'service_name']);
  assert.deepEqual((await asked(one, 'logs.fake.label_values', { name: 'app' })).data, ['a']);
  assert.equal((await asked(one, 'logs.fake.series', { match: ['{app="a"}', '{app="b"}'] })).data.length, 1);
  assert.equal((await asked(one, 'logs.fake.stats', { query: '{app="a"}' })).entries, 3);
  const tailed: string[] = [];
  for await (const message of tail) {
    for (const { values } of (message.json() as { streams: { values: [string, string][] }[] }).streams)
      tailed.push(...values.map(([, line]) => line));
    if (tailed.length === lines.length) break;
  }
  assert.deepEqual(tailed, lines);

  assert.deepEqual(await refused(one, 'logs.other.push', pushOf(['x'])), ['401', 'without -auth.enabled there is one tenant: fake']);
  assert.match((await refused(one, 'logs.fake.query', '{"query":"{"}')).join(' '), /^400 parse error/);
  assert.match((await refused(one, 'logs.fake.query', 'query')).join(' '), /^400 the parameters are no JSON/);
  assert.match((await refused(one, 'logs.fake.push', '{"streams":[]}')).join(' '), /^422 /);
  const found = [];
  for await (const info of await one.services.client().info('millrace')) found.push(...info.endpoints.map(({ subject }) => subject));
  assert.ok(found.includes('logs.*.push') && found.includes('logs.*.query_range'), found.join(' '));
});

test('an answer that is larger than a message comes in parts, to who takes them', { skip: withoutNats }, async () => {
  const one = await client(await served());
  const lines = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(60_000)}`);
  for (const line of lines) await one.request('logs.fake.push', pushOf([line]));
  const params = JSON.stringify({ query: '{app="a"}', limit: 100, direction: 'forward' });
  assert.match((await refused(one, 'logs.fake.query_range', params)).join(' '), /^413 the answer takes \d+ bytes.*Millrace-Parts/);
  const wanted = newHeaders();
  wanted.set('Millrace-Parts', 'true');
  const inbox = createInbox();
  const parts = one.subscribe(inbox);
  one.publish('logs.fake.query_range', params, { reply: inbox, headers: wanted });
  const body: Uint8Array[] = [];
  for await (const message of parts) {
    body.push(message.data);
    const [number, of] = (message.headers?.get('Millrace-Part') ?? '').split('/').map(Number);
    assert.equal(number, body.length);
    if (number === of) break;
  }
  assert.ok(body.length > 1);
  const { data } = JSON.parse(Buffer.concat(body).toString());
  assert.equal(data.result[0].values.length, 30);
});

test('tenants in accounts of their own: none speaks for the other, nor for the cluster', { skip: withoutNats }, async () => {
  const nats = await NatsServer.start({ config: ACCOUNTS });
  closing.push(() => nats[Symbol.asyncDispose]());
  const objects = `-common.storage.filesystem.chunk-directory=${objectFolder}`;
  const inCluster = [
    `-nats.servers=${nats.url}`,
    '-nats.user=cluster',
    '-nats.password=inside',
    '-common.storage.ring.replication-factor=1',
    objects,
  ];
  const server = await TestServer.start({
    flags: [...inCluster, '-auth.enabled', '-nats.services.enabled', '-nats.services.user=services', '-nats.services.password=served'],
  });
  closing.push(() => server[Symbol.asyncDispose]());
  const [a, b] = [await client(nats, 'a'), await client(nats, 'b')];
  await a.request('logs.team-a.push', pushOf(['of a']));
  await b.request('logs.team-b.push', pushOf(['of b']));
  for (const [own, line] of [
    [a, 'of a'],
    [b, 'of b'],
  ] as const) {
    const { data } = await asked(own, `logs.team-${own === a ? 'a' : 'b'}.query_range`, { query: '{app="a"}' });
    assert.deepEqual(
      data.result.map(({ values }: { values: [string, string][] }) => values.map(([, text]) => text)),
      [[line]],
    );
  }
  const inside = await client(nats, 'services');
  const inbox = createInbox();
  const tail = inside.subscribe(inbox);
  inside.publish('logs.team-a.tail', JSON.stringify({ query: '{app="a"}' }), { reply: inbox });
  for await (const message of tail) {
    const { streams } = message.json() as { streams: { values: [string, string][] }[] };
    assert.deepEqual(
      streams.map(({ values }) => values.map(([, text]) => text)),
      [['of a']],
    );
    break;
  }
  const nobody = { code: '503' }; // no responders
  await assert.rejects(a.request('logs.team-b.push', pushOf(['forged'])), nobody);
  await assert.rejects(a.request('logs.team-a%2E.push', pushOf(['forged'])), nobody);
  await assert.rejects(a.request('millrace.main.ingester.any.flush', ''), nobody);
  const count = await asked(b, 'logs.team-b.query', { query: 'sum(count_over_time({app="a"}[1h]))' });
  assert.equal(count.data.result[0].value[1], '1');
});

test('services in the account of the cluster are refused, unless that is accepted', { skip: withoutNats }, async () => {
  const nats = await NatsServer.start();
  closing.push(() => nats[Symbol.asyncDispose]());
  const flags = [`-nats.servers=${nats.url}`, `-common.storage.filesystem.chunk-directory=${objectFolder}`, '-nats.services.enabled'];
  await assert.rejects(TestServer.start({ flags }), /pretend to be a process of the cluster/);
});
