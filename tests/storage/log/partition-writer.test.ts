import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KiB } from '../../../ops/base/bytes.ts';
import { type Instruments, noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { UnsentError } from '../../../storage/kafka/failures.ts';
import type { Position } from '../../../storage/log/ingest-log.ts';
import { PartitionWriter } from '../../../storage/log/partition-writer.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { Dice } from '../../support/dice.ts';
import { seeds } from '../chunk/rows.ts';

const TIMEOUT_MS = 1_000;
/** Longer than appends wait for others. */
const LINGER_MS = 10;
const RETRY_MS = 50;
/** The longest time between two probes. */
const PROBE_MS = 625;

interface Request {
  readonly records: readonly string[];
  readonly resolve: (first: Position) => void;
  readonly reject: (error: Error) => void;
}

/** As the client tells of them. */
const moved = () => Object.assign(new Error('not the leader'), { type: 'NOT_LEADER_FOR_PARTITION' });
const refused = () => Object.assign(new Error('larger than may be'), { type: 'MESSAGE_TOO_LARGE' });
const broke = () => new Error('connection closed');

/** A writer whose requests are answered by the test. Records are filled up to their size with zeros, which nothing shows. */
function rig({ maxRecordBytes = 1024 * KiB, instruments = noInstruments }: { maxRecordBytes?: number; instruments?: Instruments } = {}) {
  const world = fakeWorld(1);
  const requests: Request[] = [];
  const send = (records: readonly Uint8Array[]): Promise<Position> => {
    const { promise, resolve, reject } = Promise.withResolvers<Position>();
    requests.push({ records: records.map((record) => Buffer.from(record).toString().replaceAll('\0', '')), resolve, reject });
    return promise;
  };
  const name = 'topic/3';
  const probe = Buffer.from('probe');
  const writer = new PartitionWriter({ name, send, world, instruments, maxRecordBytes, timeoutMs: TIMEOUT_MS, probe });
  /** `a 5` or `b in_doubt`, in the order in which they became known. */
  const outcomes: string[] = [];
  const append = (text: string, sizeBytes = text.length): void => {
    writer.append([Buffer.concat([Buffer.from(text)], sizeBytes)]).then(
      (position) => outcomes.push(`${text} ${position}`),
      (error) => outcomes.push(`${text} ${error.code}`),
    );
  };
  return {
    world,
    writer,
    requests,
    outcomes,
    append,
    /** The records of each request. */
    sent: () => requests.map(({ records }) => records.join(' ')),
    /** Appends what has these names, together, and has it sent. */
    async under(...texts: string[]): Promise<void> {
      for (const text of texts) append(text);
      await world.advance(LINGER_MS);
    },
    /** The answer to the request that is under way: where its first record is, or why there is none. */
    async answer(answer: Position | Error): Promise<void> {
      const { resolve, reject } = requests.at(-1)!;
      if (answer instanceof Error) reject(answer);
      else resolve(answer);
      await world.settle();
    },
  };
}

test('each append has the position of its record, and they resolve in the order of the calls', async () => {
  const { under, answer, sent, outcomes } = rig();
  await under('a', 'b', 'c');
  assert.deepEqual(outcomes, []);
  await answer(7);
  await under('d');
  await answer(20);
  assert.deepEqual(sent(), ['a b c', 'd']);
  assert.deepEqual(outcomes, ['a 7', 'b 8', 'c 9', 'd 20']);
});

for (const texts of [['one'], ['one ', '', 'two'], []]) {
  test(`the parts of a record are one, and are the caller’s again at once: ${texts.length} of them`, async () => {
    const { world, writer, requests } = rig();
    const parts = texts.map((text) => Buffer.from(text));
    const append = writer.append(parts);
    for (const part of parts) part.fill('x');
    await world.advance(LINGER_MS);
    assert.deepEqual(requests[0].records, [texts.join('')]);
    requests[0].resolve(0);
    assert.equal(await append, 0);
  });
}

test('what comes in while a request is under way goes together in the next one', async () => {
  const { under, answer, sent, world } = rig();
  await under('a');
  for (const text of ['b', 'c', 'd']) {
    await under(text);
    await world.advance(TIMEOUT_MS / 10);
  }
  assert.deepEqual(sent(), ['a']);
  await answer(0);
  assert.deepEqual(sent(), ['a', 'b c d']);
});

const sizes: [what: string, kib: number[], groups: string[]][] = [
  ['as much as a request may have', [256, 256], ['0 1']],
  ['a byte more', [256, 256, 1 / KiB], ['0 1', '2']],
  ['a large one alone', [900, 1, 1], ['0', '1 2']],
  ['a large one behind small ones', [1, 1, 900, 1], ['0 1', '2', '3']],
  ['several requests', [200, 200, 200, 200, 200], ['0 1', '2 3', '4']],
];
for (const [what, kib, groups] of sizes) {
  test(`groups of records: ${what}`, async () => {
    const { append, answer, requests, sent, world, outcomes } = rig();
    for (const [number, size] of kib.entries()) append(String(number), size * KiB);
    await world.advance(LINGER_MS);
    let position = 0;
    for (const _ of groups) {
      const { records } = requests.at(-1)!;
      await answer(position);
      position += records.length;
    }
    assert.deepEqual(sent(), groups);
    assert.deepEqual(
      outcomes,
      kib.map((_, number) => `${number} ${number}`),
    );
  });
}

test('a record that is too large is refused, and those beside it are not', async () => {
  const { append, under, answer, outcomes } = rig({ maxRecordBytes: 100 });
  append('a', 100);
  append('b', 101);
  await under('c');
  await answer(0);
  assert.deepEqual(outcomes, ['b too_large', 'a 0', 'c 1']);
});

test('one that is not answered is in doubt; what waits behind it and what comes later was never sent', async () => {
  const { under, append, world, writer, sent, outcomes } = rig();
  await under('a');
  await under('b', 'c');
  await world.advance(TIMEOUT_MS - 2 * LINGER_MS - 1);
  assert.deepEqual(outcomes, []);
  assert.equal(writer.broken, undefined);
  await world.advance(1);
  assert.deepEqual(outcomes.toSorted(), ['a in_doubt', 'b unavailable', 'c unavailable']);
  assert.match(writer.broken!, /1000 ms/);
  append('d');
  await world.settle();
  assert.equal(outcomes.at(-1), 'd unavailable');
  await world.advance(10 * TIMEOUT_MS);
  assert.deepEqual(sent(), ['a']);
});

const lateAnswers: [what: string, answer: Position | Error, waitMs: number][] = [
  ['is taken after all', 4, 0],
  ['breaks', broke(), 0],
  ['is refused', refused(), 0],
  ['has gone elsewhere', moved(), RETRY_MS],
];
for (const [what, late, waitMs] of lateAnswers) {
  test(`when one that was in doubt ${what}, a probe has to come through before anything else does`, async () => {
    const { under, append, answer, world, writer, sent, outcomes } = rig();
    await under('a');
    await world.advance(TIMEOUT_MS);
    await answer(late);
    await world.advance(waitMs);
    assert.deepEqual(sent(), ['a', 'probe']);

    append('b');
    await answer(broke());
    append('c');
    await world.settle();
    assert.deepEqual(outcomes, ['a in_doubt', 'b unavailable', 'c unavailable']);
    await world.advance(PROBE_MS);
    assert.deepEqual(sent(), ['a', 'probe', 'probe']);
    append('d');
    await world.settle();
    assert.equal(outcomes.at(-1), 'd unavailable');

    await answer(9);
    assert.equal(writer.broken, undefined);
    await under('e');
    await answer(10);
    assert.deepEqual(sent(), ['a', 'probe', 'probe', 'e']);
    assert.equal(outcomes.at(-1), 'e 10');
  });
}

test('an answer that comes too late for the first of a request is in time for another one of it', async () => {
  const { under, answer, world, sent, outcomes } = rig();
  await under('a');
  await under('b');
  await world.advance(TIMEOUT_MS / 2);
  await under('c');
  await answer(0);
  assert.deepEqual(sent(), ['a', 'b c']);
  await world.advance(TIMEOUT_MS / 2);
  assert.deepEqual(outcomes, ['a 0', 'b in_doubt']);
  await answer(1);
  assert.deepEqual(outcomes, ['a 0', 'b in_doubt', 'c 2']);
  assert.equal(sent().at(-1), 'probe');
});

test('what has no leader for a moment is sent again, before all that came later', async () => {
  const { under, append, answer, world, sent, outcomes, writer } = rig();
  await under('a', 'b');
  append('c');
  await answer(moved());
  await world.advance(RETRY_MS);
  await answer(moved());
  append('d');
  await world.advance(RETRY_MS);
  assert.deepEqual(sent(), ['a b', 'a b c', 'a b c d']);
  assert.equal(writer.broken, undefined);
  await answer(3);
  assert.deepEqual(outcomes, ['a 3', 'b 4', 'c 5', 'd 6']);
});

const tooLong: [what: string, failure: () => Error, outcome: string][] = [
  // One that loses its lead while copies are awaited says so of what it has written too.
  ['whom it was sent to says for too long that another one leads: in doubt', moved, 'in_doubt'],
  ['it cannot be sent to anybody for too long: it was not written', () => new UnsentError('no connection'), 'unavailable'],
];
for (const [what, failure, outcome] of tooLong)
  test(what, async () => {
    const { under, append, answer, requests, world, sent, outcomes } = rig();
    await under('a');
    append('b');
    while (outcomes.length === 0) {
      assert.ok(requests.length < 100);
      await answer(failure());
      await world.advance(RETRY_MS);
    }
    assert.deepEqual(outcomes.toSorted(), [`a ${outcome}`, `b ${outcome}`]);
    assert.ok(requests.length > 5, `${requests.length} tries`);
    assert.equal(sent().at(-1), 'probe');
    await answer(0);
    await under('c');
    await answer(1);
    assert.equal(outcomes.at(-1), 'c 1');
  });

test('one that shares a request with one in doubt, and has time left, is sent again once Kafka takes a probe', async () => {
  const { under, answer, world, sent, outcomes } = rig();
  await under('a');
  await under('b');
  await world.advance(TIMEOUT_MS / 2);
  await under('c');
  await answer(0);
  await world.advance(TIMEOUT_MS / 2);
  await answer(moved());
  await world.advance(RETRY_MS);
  assert.deepEqual(sent(), ['a', 'b c', 'probe']);
  await answer(1);
  assert.equal(sent().at(-1), 'c');
  await answer(2);
  assert.deepEqual(outcomes, ['a 0', 'b in_doubt', 'c 2']);
});

test('what Kafka refuses for good is refused, and others are not', async () => {
  const { under, append, answer, sent, outcomes, writer } = rig();
  await under('a', 'b');
  append('c');
  await answer(refused());
  assert.deepEqual(outcomes, ['a unavailable', 'b unavailable']);
  assert.equal(writer.broken, undefined);
  assert.deepEqual(sent(), ['a b', 'c']);
  await answer(0);
  assert.equal(outcomes.at(-1), 'c 0');
});

test('what a connection that broke may have carried is in doubt, and is not sent again', async () => {
  const { under, append, answer, sent, outcomes, writer } = rig();
  await under('a', 'b');
  append('c');
  await answer(broke());
  assert.deepEqual(outcomes.toSorted(), ['a in_doubt', 'b in_doubt', 'c unavailable']);
  assert.match(writer.broken!, /connection closed/);
  assert.deepEqual(sent(), ['a b', 'probe']);
  await answer(2);
  assert.deepEqual([writer.broken, sent().length], [undefined, 2]);
});

test('faults say when to try again', async () => {
  const { writer, answer, world } = rig();
  const doubtful = writer.append([Buffer.from('a')]);
  doubtful.catch(() => {});
  await world.advance(LINGER_MS);
  await answer(broke());
  await assert.rejects(doubtful, { code: 'in_doubt', retryAfterS: 1 });
  await assert.rejects(writer.append([Buffer.from('b')]), { code: 'unavailable', retryAfterS: 1 });
});

test('close waits for what is under way and what waits; later appends are refused', async () => {
  const { writer, under, append, answer, world, outcomes, sent } = rig();
  await under('a');
  append('b');
  let isClosed = false;
  const closed = writer.close().then(() => (isClosed = true));
  append('c');
  await world.settle();
  assert.deepEqual(outcomes, ['c unavailable']);
  await answer(0);
  assert.equal(isClosed, false);
  await answer(1);
  await closed;
  assert.deepEqual(outcomes, ['c unavailable', 'a 0', 'b 1']);
  assert.deepEqual(sent(), ['a', 'b']);
  await assert.rejects(writer.append([Buffer.from('d')]), isFault('unavailable'));
});

test('close waits for what is not sent yet, and for nothing where nothing was appended', async () => {
  const { writer, append, answer, world, outcomes } = rig();
  append('a');
  const closed = writer.close();
  await world.advance(LINGER_MS);
  await answer(0);
  await closed;
  assert.deepEqual(outcomes, ['a 0']);
  await rig().writer.close();
});

test('close ends the probing of a Kafka that does not answer', async () => {
  const { writer, under, append, answer, world, sent, outcomes } = rig();
  await under('a');
  await answer(broke());
  await answer(broke());
  const closed = writer.close();
  await world.settle();
  await closed;
  append('b');
  await world.advance(10 * PROBE_MS);
  assert.deepEqual(sent(), ['a', 'probe']);
  assert.deepEqual(outcomes, ['a in_doubt', 'b unavailable']);
});

test('records are counted by what became of them', async () => {
  const totals: Record<string, number> = {};
  const counter = () => ({
    add: (amount: number, { outcome }: Readonly<Record<string, string>> = {}) => {
      totals[outcome] = (totals[outcome] ?? 0) + amount;
    },
  });
  const { under, answer, world } = rig({ instruments: { ...noInstruments, counter } });
  await under('a', 'b');
  await answer(moved());
  await world.advance(RETRY_MS);
  await answer(0);
  await under('c', 'd', 'e');
  await answer(refused());
  await under('f');
  await answer(broke());
  await answer(5);
  await under('g');
  await world.advance(TIMEOUT_MS);
  assert.deepEqual(totals, { moved: 2, done: 2, refused: 3, in_doubt: 1, overdue: 1 });
});

/** A partition that misbehaves: what it is sent may be written or not, and answered or not. */
class Partition {
  readonly log: string[] = [];
  isGood = false;
  readonly #world: ReturnType<typeof fakeWorld>;
  readonly #dice: Dice;

  constructor(world: ReturnType<typeof fakeWorld>, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
  }

  async send(records: readonly Uint8Array[]): Promise<Position> {
    const dice = this.#dice;
    const { timers } = this.#world;
    const isBad = (ratio: number): boolean => !this.isGood && dice.chance(ratio);
    await timers.sleep(dice.below(60));
    if (isBad(0.1)) throw moved();
    if (isBad(0.03)) throw refused();
    if (isBad(0.03)) throw broke();
    const first = this.log.length;
    this.log.push(...records.map(String));
    await timers.sleep(isBad(0.05) ? dice.below(2 * TIMEOUT_MS) : dice.below(60));
    if (isBad(0.03)) throw broke();
    return first;
  }
}

for (const seed of seeds(40)) {
  test(`what is acknowledged is where it is said to be, in order, and what is refused is nowhere, seed ${seed}`, async () => {
    const world = fakeWorld(seed);
    const dice = new Dice(world.random);
    const partition = new Partition(world, dice);
    const writer = new PartitionWriter({
      name: 'topic/3',
      send: (records) => partition.send(records),
      world,
      instruments: noInstruments,
      maxRecordBytes: KiB,
      timeoutMs: TIMEOUT_MS,
      probe: Buffer.from('probe'),
    });
    const outcomes = new Map<string, Position | string>();
    const append = async (text: string): Promise<void> => {
      const outcome = await writer.append([Buffer.from(text)]).catch((error) => String(error.code));
      outcomes.set(text, outcome);
    };
    const appends: Promise<void>[] = [];
    for (const number of numbers(400)) {
      appends.push(append(`${number}`));
      await world.advance(dice.below(30));
    }
    partition.isGood = true;
    await world.runUntil(() => outcomes.size === appends.length && writer.broken === undefined, { withinMs: 10 * TIMEOUT_MS });
    appends.push(append('last'));
    const closed = writer.close();
    await world.advance(TIMEOUT_MS);
    await Promise.all([...appends, closed]);
    assert.equal(outcomes.get('last'), partition.log.length - 1);

    const told = [...outcomes];
    assert.deepEqual(
      told.filter(([text, outcome]) => typeof outcome === 'number' && partition.log[outcome] !== text),
      [],
    );
    assert.deepEqual(
      told.filter(([text, outcome]) => outcome === 'unavailable' && partition.log.includes(text)),
      [],
    );
    const written = partition.log.filter((text) => text !== 'probe');
    assert.equal(new Set(written).size, written.length, 'something is there twice');
    const sorted = written.filter((text) => text !== 'last').map(Number);
    assert.deepEqual(
      sorted,
      sorted.toSorted((a, b) => a - b),
    );
    assert.deepEqual([...new Set(told.map(([, outcome]) => (typeof outcome === 'number' ? 'done' : outcome)))].sort(), [
      'done',
      'in_doubt',
      'unavailable',
    ]);
  });
}
