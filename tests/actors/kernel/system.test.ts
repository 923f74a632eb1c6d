import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askOptions, type Handlers, type Incarnation } from '../../../actors/kernel/define.ts';
import { Fault, type FaultCode } from '../../../ops/base/fault.ts';
import type { Instruments, MetricLabels } from '../../../ops/base/instruments.ts';
import { actorSystem, type EchoAsk, type EchoReply, echo, echoProtocol } from '../../support/actors.ts';

const fails = (code: FaultCode) => (error: unknown) => error instanceof Fault && error.code === code;

/** Instruments that keep what they are told. */
function recorder() {
  const recorded: [metric: string, value: number, labels: MetricLabels | undefined][] = [];
  const logged: [message: string, fields: Record<string, unknown> | undefined][] = [];
  const record = (metric: string) => (value: number, labels?: MetricLabels) => recorded.push([metric, value, labels]);
  const log = (message: string, fields?: Record<string, unknown>) => logged.push([message, fields]);
  const instruments: Instruments = {
    log: { debug: log, info: log, warn: log, error: log },
    counter: (name) => ({ add: record(name) }),
    gauge: (name) => ({ set: record(name), remove: () => {} }),
    histogram: (name) => ({ observe: record(name) }),
  };
  return { instruments, recorded, logged };
}

test('an ask carries tenant, deadline and trace to the handler of its kind', async () => {
  const { system } = actorSystem();
  await system.spawn(echo(), {}, { instance: '0' });
  const options = { tenant: 'team/7', deadlineMs: 5_000, trace: '00-0af7-b7ad-01' };
  assert.deepEqual(await system.ask(echoProtocol, '0', { kind: 'context' }, options), options);
  assert.deepEqual(await system.ask(echoProtocol, 'any', { kind: 'echo', value: [1n] }, options), { epoch: 1, value: [1n] });
});

test('a reply, a stream and an ask have the types of their protocol', async () => {
  const { system, options } = actorSystem();
  await system.spawn(echo(), {}, { instance: '0' });
  const { epoch } = await system.ask(echoProtocol, '0', { kind: 'echo', value: 1 }, options);
  const twice: number = epoch * 2;
  assert.equal(twice, 2);
  const numbers: number[] = [];
  for await (const number of system.stream(echoProtocol, '0', { kind: 'count', to: 3 }, options)) numbers.push(number);
  assert.deepEqual(numbers, [1, 2, 3]);
  // @ts-expect-error no such kind
  await assert.rejects(system.ask(echoProtocol, '0', { kind: 'shout' }, options), fails('unsupported'));
  // @ts-expect-error `to` is missing
  system.stream(echoProtocol, '0', { kind: 'count' }, options);
  // @ts-expect-error every kind has a handler
  const short: Handlers<EchoAsk, EchoReply> = { crash: async () => undefined };
  // @ts-expect-error the reply of another kind
  const wrong: Handlers<EchoAsk, EchoReply>['echo'] = async () => ({ tenant: 'a' });
  assert.ok(short && wrong);
});

test('kinds that objects inherit are unknown too', async () => {
  const { system, transport } = actorSystem();
  await system.spawn(echo(), {}, { instance: '0' });
  const message = { kind: 'constructor', tenant: 'a', trace: '', body: {} };
  await assert.rejects(transport.request('echo/0', message, { deadlineMs: 1_000 }), fails('unsupported'));
});

test('a bug in a handler fails the ask and is logged; the actor goes on', async () => {
  const { instruments, logged } = recorder();
  const { world, system, options, echoed } = actorSystem({ instruments });
  await system.spawn(echo(), {}, { instance: '0' });
  await assert.rejects(system.ask(echoProtocol, '0', { kind: 'crash' }, options), fails('internal'));
  const [[message, fields]] = logged;
  assert.equal(message, 'handler has a bug');
  assert.ok(fields?.error instanceof TypeError);
  await world.advance(1_000);
  assert.deepEqual(await echoed('0'), { epoch: 1, value: 1 });
});

test('an ask past its deadline fails, and its handler hears of it', async () => {
  const { world, system } = actorSystem();
  await system.spawn(echo(), {}, { instance: '0' });
  const asked = assert.rejects(system.ask(echoProtocol, '0', { kind: 'hang' }, { tenant: 'a', deadlineMs: 100 }), fails('deadline'));
  await world.settle();
  assert.equal(system.observe()[0].mailbox.messages, 1);
  await world.advance(100);
  await asked;
  assert.equal(system.observe()[0].mailbox.messages, 0);
});

test('bytes of asks under way are bounded', async () => {
  const { world, system, options } = actorSystem();
  await system.spawn(echo(), {}, { instance: '0' });
  const hang = (bytes: number) => system.ask(echoProtocol, '0', { kind: 'hang', parts: [new Uint8Array(bytes)] }, options);
  hang(600).catch(() => {});
  await world.settle();
  assert.deepEqual(system.observe()[0].mailbox, { messages: 1, bytes: 600 });
  await assert.rejects(hang(401), fails('mailbox_full'));
  await assert.rejects(hang(1_001), fails('too_large'));
});

test('tell does not wait, and logs what went wrong', async () => {
  const { instruments, logged } = recorder();
  const { world, system, options } = actorSystem({ instruments });
  system.tell(echoProtocol, '0', { kind: 'echo', value: 1 }, options);
  await world.settle();
  assert.deepEqual(logged, [
    ['message was not taken', { to: 'echo/0', kind: 'echo', code: 'unavailable', message: 'nothing serves echo/0' }],
  ]);
});

test('observe shows every actor, in the order of spawning', async () => {
  const { system } = actorSystem();
  await system.spawn(echo('b'), {}, { instance: '0' });
  await system.spawn(echo('a'), {}, { instance: '1' });
  const mailbox = { messages: 0, bytes: 0 };
  assert.deepEqual(system.observe(), [
    { address: 'b/0', state: 'running', epoch: 1, restarts: 0, mailbox, detail: { epoch: 1 } },
    { address: 'a/1', state: 'running', epoch: 1, restarts: 0, mailbox, detail: { epoch: 1 } },
  ]);
});

test('the kernel counts restarts, refusals, and what is handled', async () => {
  const { instruments, recorded } = recorder();
  const { world, system, options, echoed } = actorSystem({ instruments });
  let fail = (_error: unknown): void => {};
  const keep = (incarnation: Incarnation) => {
    fail = (error) => incarnation.fail(error);
  };
  await system.spawn(echo(), { started: ({ incarnation }) => keep(incarnation) }, { instance: '0' });
  await echoed('0');
  for (let count = 0; count < 5; count++) system.ask(echoProtocol, '0', { kind: 'hang' }, options).catch(() => {});
  await world.advance(5_000);
  fail(new Error('broke'));
  await world.advance(1_000);
  const actor = { component: 'echo', instance: '0' };
  assert.deepEqual(
    recorded.filter(([metric]) => metric !== 'millrace_actor_handled_seconds'),
    [
      ['millrace_actor_refused_total', 1, actor],
      ['millrace_actor_mailbox_messages', 4, actor],
      ['millrace_actor_mailbox_bytes', 0, actor],
      ['millrace_actor_restarts_total', 1, actor],
    ],
  );
  const [handled] = recorded.filter(([metric]) => metric === 'millrace_actor_handled_seconds');
  assert.deepEqual(handled, ['millrace_actor_handled_seconds', 0, { component: 'echo', kind: 'echo' }]);
});

test('an ask on behalf of another carries its context on', () => {
  const { signal } = new AbortController();
  const context = { tenant: 'a', deadlineMs: 7, signal, trace: 't', transferReply: () => {} };
  assert.deepEqual(askOptions(context), { tenant: 'a', deadlineMs: 7, signal, trace: 't' });
});
