import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { type FakeWorld, fakeWorld } from '../../../ops/base/world-fake.ts';
import { forgetSilent } from '../../../topology/ring/forget.ts';
import { readInstance, readTokenSet } from '../../../topology/ring/instance.ts';
import { type Kv, MemoryKv } from '../../../topology/ring/kv.ts';
import { Member, type MemberOptions, type MemberState, type MemberWork, removeInstance } from '../../../topology/ring/member.ts';
import { placementHash, quorumOf } from '../../../topology/ring/placement.ts';
import { Ring } from '../../../topology/ring/ring.ts';
import { FlakyKv } from '../../support/flaky-kv.ts';

const HEARTBEAT_MS = 5_000;
const TIMEOUT_MS = 60_000;
const NO_WORK: MemberWork = {
  catchUp: async () => {},
  handOver: () => Promise.reject(new Error('nobody takes it')),
  flush: async () => {},
};

class Rig {
  readonly world: FakeWorld = fakeWorld(1);
  readonly store = new MemoryKv(this.world.clock);

  kv(): FlakyKv {
    return new FlakyKv(this.store, this.world.clock);
  }

  ring(kv = this.kv()): Promise<Ring> {
    return Ring.open(kv, { name: 'ingester', heartbeatTimeoutMs: TIMEOUT_MS, world: this.world, log: noInstruments.log });
  }

  member(id: string, options: Partial<MemberOptions> = {}): Member & { states: MemberState[] } {
    const states: MemberState[] = [];
    const member = new Member({
      kv: this.kv(),
      world: this.world,
      log: noInstruments.log,
      work: NO_WORK,
      id,
      incarnation: this.world.random.id(),
      zone: `zone of ${id}`,
      shards: 2,
      url: '',
      tokenCount: 16,
      heartbeatMs: HEARTBEAT_MS,
      heartbeatTimeoutMs: TIMEOUT_MS,
      onState: (state) => states.at(-1) !== state && states.push(state),
      ...options,
    });
    member.start();
    return Object.assign(member, { states });
  }

  async all(members: readonly Member[], state: MemberState): Promise<void> {
    await this.world.runUntil(() => members.every((member) => member.state === state), { withinMs: 600_000 });
  }
}

const states = (ring: Ring) =>
  Object.fromEntries(ring.instances().map(({ instance, isAlive }) => [instance.id, isAlive ? instance.state : 'silent']));

test('instances join, are seen by all, and own tokens', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const members = ['a', 'b', 'c'].map((id) => rig.member(id));
  await rig.all(members, 'ACTIVE');
  await rig.world.advance(1_000);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'ACTIVE', c: 'ACTIVE' });
  assert.deepEqual(members[0].states, ['PENDING', 'JOINING', 'ACTIVE']);
  assert.deepEqual(
    ring.instances().map(({ tokens, instance }) => [tokens, instance.shards]),
    [
      [16, 2],
      [16, 2],
      [16, 2],
    ],
  );
  const counts = new Map<string, number>();
  for (let hash = 0; hash < 2 ** 32; hash += 2 ** 22) {
    const replicas = ring.replicas(hash, 3);
    assert.equal(new Set(replicas.map(({ id }) => id)).size, 3);
    counts.set(replicas[0].id, (counts.get(replicas[0].id) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), ['a', 'b', 'c']);
});

test('replicas lie in zones of their own', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const members = ['a1', 'a2', 'b1', 'b2', 'b3'].map((id) => rig.member(id, { zone: id[0] }));
  await rig.all(members, 'ACTIVE');
  await rig.world.settle();
  for (let hash = 0; hash < 2 ** 32; hash += 2 ** 24) {
    const zones = ring.replicas(hash, 3).map(({ zone }) => zone);
    assert.deepEqual(zones.toSorted(), ['a', 'b']);
  }
});

test('one that falls silent is passed over, and its neighbours take its place; nobody else moves', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const kv = rig.kv();
  const members = ['a', 'b', 'c', 'd', 'e'].map((id) => rig.member(id, id === 'c' ? { kv } : {}));
  await rig.all(members, 'ACTIVE');
  await rig.world.settle();
  const hashes = Array.from({ length: 200 }, (_, index) => placementHash('t', String(index).padStart(16, '0')));
  const before = hashes.map((hash) => ring.replicas(hash, 3).map(({ id }) => id));
  let changes = 0;
  ring.onChange(() => changes++);
  kv.away = true;
  await rig.world.advance(TIMEOUT_MS - HEARTBEAT_MS);
  assert.equal(states(ring).c, 'ACTIVE');
  await rig.world.advance(3 * HEARTBEAT_MS);
  assert.equal(states(ring).c, 'silent');
  assert.equal(members[2].state, 'UNHEALTHY');
  for (const [index, hash] of hashes.entries()) {
    const now = ring.replicas(hash, 3).map(({ id }) => id);
    assert.deepEqual(
      before[index].filter((id) => id !== 'c'),
      now.slice(0, before[index].includes('c') ? 2 : 3),
    );
    assert.ok(!now.includes('c') && now.length === 3);
  }
  kv.away = false;
  await rig.all(members, 'ACTIVE');
  await rig.world.advance(1_000);
  assert.deepEqual(
    hashes.map((hash) => ring.replicas(hash, 3).map(({ id }) => id)),
    before,
  );
  assert.ok(changes > 0);
});

test('while the store is away nobody is thought silent, and nobody moves; afterwards everybody has the whole time again', async () => {
  const rig = new Rig();
  const watching = rig.kv();
  const ring = await rig.ring(watching);
  const ways = ['a', 'b', 'c'].map(() => rig.kv());
  const members = ['a', 'b', 'c'].map((id, index) => rig.member(id, { kv: ways[index] }));
  await rig.all(members, 'ACTIVE');
  await rig.world.settle();
  for (const kv of [watching, ...ways]) kv.away = true;
  await rig.world.advance(10 * TIMEOUT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'ACTIVE', c: 'ACTIVE' });
  assert.equal(ring.replicas(7, 3).length, 3);
  assert.ok(members.every(({ state }) => state === 'UNHEALTHY'));
  watching.away = false; // the others' ways stay cut for a while
  await rig.world.advance(TIMEOUT_MS / 2);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'ACTIVE', c: 'ACTIVE' });
  for (const kv of ways) kv.away = false;
  await rig.all(members, 'ACTIVE');
  await rig.world.advance(10 * TIMEOUT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'ACTIVE', c: 'ACTIVE' });
});

test('a restart keeps its tokens; while it is away others take what is new', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const members = ['a', 'b', 'c', 'd'].map((id) => rig.member(id));
  await rig.all(members, 'ACTIVE');
  await rig.world.settle();
  const tokens = () => ring.tokenSets().find(({ set }) => set.owner === 'b')?.set.tokens;
  const before = tokens();
  await members[1].stop();
  assert.equal(members[1].state, 'STOPPED');
  await rig.world.settle();
  assert.equal(states(ring).b, 'UNHEALTHY');
  for (let hash = 0; hash < 2 ** 32; hash += 2 ** 26) assert.ok(!ring.replicas(hash, 3).some(({ id }) => id === 'b'));
  const again = rig.member('b');
  await rig.all([again], 'ACTIVE');
  await rig.world.settle();
  assert.deepEqual(tokens(), before);
  assert.equal(states(ring).b, 'ACTIVE');
});

test('a second process under the same name replaces the first, which finds out', async () => {
  const rig = new Rig();
  const first = rig.member('a');
  await rig.all([first], 'ACTIVE');
  const second = rig.member('a');
  await rig.all([second], 'ACTIVE');
  await rig.world.runUntil(() => first.state === 'REPLACED', { withinMs: 3 * HEARTBEAT_MS });
  await rig.world.advance(10 * HEARTBEAT_MS);
  assert.equal(second.state, 'ACTIVE');
});

test('heartbeats in doubt are no harm', async () => {
  const rig = new Rig();
  const kv = rig.kv();
  const member = rig.member('a', { kv });
  await rig.all([member], 'ACTIVE');
  for (let round = 0; round < 20; round++) {
    kv.doubtful = 1 + (round % 3);
    await rig.world.advance(2 * HEARTBEAT_MS);
  }
  assert.deepEqual(member.states, ['PENDING', 'JOINING', 'ACTIVE']);
});

test('an instance that was forgotten by mistake comes back', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const member = rig.member('a');
  await rig.all([member], 'ACTIVE');
  await removeInstance(rig.store, 'a');
  await rig.world.settle();
  assert.deepEqual(ring.instances(), []);
  assert.deepEqual(ring.tokenSets(), []);
  await rig.world.advance(2 * HEARTBEAT_MS);
  assert.equal(states(ring).a, 'ACTIVE');
  assert.equal(ring.tokenSets().length, 1);
  await assert.rejects(removeInstance(rig.store, 'b'), { code: 'not_found' });
});

test('who has a new key is introduced before it joins; a later start of it was, unless it was forgotten meanwhile', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const gates: PromiseWithResolvers<void>[] = [];
  const introduce = (): Promise<void> => {
    gates.push(Promise.withResolvers());
    return gates.at(-1)!.promise;
  };
  const work = { ...NO_WORK, introduce };
  const isIntroduced = (): [boolean, string] => [ring.instance('a')!.introduced, ring.instance('a')!.state];
  const first = rig.member('a', { work });
  await rig.world.advance(5 * HEARTBEAT_MS);
  assert.deepEqual([gates.length, ...isIntroduced()], [1, false, 'PENDING']);
  await first.stop();
  const second = rig.member('a', { work });
  await rig.world.advance(HEARTBEAT_MS);
  assert.equal(gates.length, 2, 'it was not introduced before');
  gates[1].resolve();
  await rig.all([second], 'ACTIVE');
  await rig.world.advance(HEARTBEAT_MS);
  assert.deepEqual(isIntroduced(), [true, 'ACTIVE']);
  await second.stop();
  const third = rig.member('a', { work });
  await rig.all([third], 'ACTIVE');
  assert.deepEqual([gates.length, ...isIntroduced()], [2, true, 'ACTIVE']);
  await removeInstance(rig.store, 'a');
  await rig.world.advance(2 * HEARTBEAT_MS);
  assert.deepEqual([gates.length, ...isIntroduced()], [3, false, 'PENDING']);
  gates[2].resolve();
  await rig.all([third], 'ACTIVE');
});

test('one that is silent for long enough is forgotten, one that is slow is not; while the store is away nobody is', async () => {
  const rig = new Rig();
  const [ring, kv, watching] = [await rig.ring(), rig.kv(), rig.kv()];
  const members = ['a', 'b'].map((id) => rig.member(id, id === 'b' ? { kv } : {}));
  await rig.all(members, 'ACTIVE');
  const seen = await rig.ring(watching);
  const forgetting = forgetSilent({ ring: seen, kv: watching, world: rig.world, log: noInstruments.log, afterMs: 10 * TIMEOUT_MS });
  watching.away = true;
  kv.away = true;
  await rig.world.advance(20 * TIMEOUT_MS);
  watching.away = false;
  await rig.world.advance(9 * TIMEOUT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'silent' });
  await rig.world.advance(2 * TIMEOUT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE' });
  assert.equal(ring.tokenSets().length, 1);
  kv.away = false;
  await rig.world.advance(2 * HEARTBEAT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE', b: 'ACTIVE' });
  forgetting.close();
});

test('an instance that comes back while it is being forgotten keeps its tokens', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const member = rig.member('a');
  await rig.all([member], 'ACTIVE');
  const { store } = rig;
  const racing: Kv = {
    get: (key) => store.get(key),
    put: (key, value, expected) => store.put(key, value, expected),
    watch: (changed) => store.watch(changed),
    async delete(key, expected) {
      if (key === 'instance.a') await rig.world.advance(2 * HEARTBEAT_MS);
      return store.delete(key, expected);
    },
  };
  await assert.rejects(removeInstance(racing, 'a'), { code: 'unavailable' });
  await removeInstance(store, 'a', 'another incarnation');
  await rig.world.advance(2 * HEARTBEAT_MS);
  assert.deepEqual(states(ring), { a: 'ACTIVE' });
  assert.equal(ring.tokenSets().length, 1);
});

test('one that is drained offers what it has, else flushes it, and nothing of it is left', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const done: string[] = [];
  let taken = true;
  const work: MemberWork = {
    catchUp: async () => {},
    handOver: async () => {
      done.push('offered');
      if (!taken) throw new Error('nobody takes it');
    },
    flush: async () => {
      done.push('flushed');
      if (done.length < 4) throw new Error('storage is away');
    },
  };
  for (const expected of [['offered'], ['offered', 'flushed', 'flushed', 'flushed']]) {
    const member = rig.member('a', { work });
    await rig.all([member], 'ACTIVE');
    const drained = member.drain();
    await rig.all([member], 'LEFT');
    await drained;
    assert.deepEqual(done.splice(0), expected);
    await rig.world.advance(10 * HEARTBEAT_MS);
    assert.deepEqual([ring.instances(), ring.tokenSets()], [[], []]);
    taken = false;
  }
});

test('one that joins is not active before it has caught up, and takes writes meanwhile', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  const caughtUp = Promise.withResolvers<void>();
  const member = rig.member('a', { work: { ...NO_WORK, catchUp: () => caughtUp.promise } });
  await rig.world.advance(100);
  assert.deepEqual(states(ring), { a: 'JOINING' });
  assert.equal(ring.replicas(1, 3).length, 1);
  caughtUp.resolve();
  await rig.all([member], 'ACTIVE');
});

test('in a ring that nothing is placed by an instance has no tokens', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  await rig.all([rig.member('a', { tokenCount: 0 })], 'ACTIVE');
  assert.deepEqual(states(ring), { a: 'ACTIVE' });
  assert.deepEqual(ring.tokenSets(), []);
});

test('heartbeats change nothing that others are told of', async () => {
  const rig = new Rig();
  const ring = await rig.ring();
  await rig.all([rig.member('a'), rig.member('b')], 'ACTIVE');
  await rig.world.advance(2 * HEARTBEAT_MS);
  const { version } = ring;
  const before = ring.replicas(7, 2);
  const [{ revision }] = ring.instances();
  await rig.world.advance(5 * HEARTBEAT_MS);
  assert.ok(ring.instances()[0].revision > revision);
  assert.equal(ring.version, version);
  assert.equal(ring.replicas(7, 2), before);
});

test('every event of the lifecycle, and where it leads, is told to who wants to know', async () => {
  const rig = new Rig();
  const seen: string[] = [];
  const member = rig.member('a', { onEvent: (event, state) => seen.push(`${event} ${state}`) });
  await rig.all([member], 'ACTIVE');
  const drained = member.drain();
  await rig.all([member], 'LEFT');
  await drained;
  assert.deepEqual(
    seen.filter((line) => !line.includes('init')),
    [
      'xstate.done.actor.0.member.PENDING.claiming PENDING.introducing',
      'xstate.done.actor.0.member.PENDING.introducing JOINING',
      'xstate.done.actor.0.member.JOINING ACTIVE',
      'DRAIN LEAVING.handing-over',
      'xstate.error.actor.0.member.LEAVING.handing-over LEAVING.flushing',
      'xstate.done.actor.0.member.LEAVING.flushing LEAVING.going',
      'xstate.done.actor.0.member.LEAVING.going LEFT',
    ],
  );
});

test('what is not an instance, or not tokens, is left out', () => {
  assert.equal(readInstance('{'), undefined);
  assert.equal(readInstance('{"id":"a","state":"ACTIVE"}'), undefined);
  assert.equal(readTokenSet('{"id":"a","owner":"a","epoch":1,"tokens":[3,2]}'), undefined);
  assert.equal(readTokenSet('{"id":"a","owner":"a","epoch":1,"tokens":[4294967296]}'), undefined);
  assert.deepEqual(readTokenSet('{"id":"a","owner":"a","epoch":1,"tokens":[2,3],"later":true}')?.tokens, [2, 3]);
});

test('quorums', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(quorumOf), [1, 2, 2, 3, 3]);
});
