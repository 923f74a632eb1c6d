import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DepartureDeps } from '../../actors/departure.ts';
import type { Ingesters } from '../../actors/ingesters.ts';
import type { Asker, Messenger } from '../../actors/kernel/define.ts';
import type { IngesterAsk, SelectReply } from '../../actors/protocol/ingest.ts';
import type { Files, Timers } from '../../ops/base/world.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { withoutSync } from '../support/power-cut-files.ts';
import { type Breakage, ClusterSimulation } from './cluster-simulation.ts';

/** What is broken has to be caught by one of so many. */
const MOST_SEEDS = 60;

const onlyAlive = (ring: Ring, right: Ingesters): Ingesters => ({
  ...right,
  groups: () =>
    right.groups().filter(({ name }) => {
      const seen = ring.find(name);
      return seen?.isAlive && seen.instance.state === 'ACTIVE';
    }),
});

/** One whose processes do not do what they are asked to, as they leave: they only say so. */
const departing =
  (kind: IngesterAsk['kind'], answer: () => unknown) =>
  (right: DepartureDeps): DepartureDeps => {
    const { asker } = right;
    const lying: Asker = {
      ask: (protocol, instance, ask, options) => {
        return (ask.kind as string) === kind ? Promise.resolve(answer() as never) : asker.ask(protocol, instance, ask, options);
      },
    };
    return { ...right, asker: lying };
  };

/** One whose queriers take ingesters' replies for something else. */
const hearing =
  (changed: (reply: Partial<SelectReply>) => object) =>
  (right: Messenger): Messenger => {
    const mistaken: Pick<Messenger, 'ask'> = {
      ask: async (protocol, instance, ask, options) => {
        const reply = (await right.ask(protocol, instance, ask, options)) as Partial<SelectReply>;
        return reply.cover === undefined ? reply : { ...reply, ...changed(reply) };
      },
    } as Pick<Messenger, 'ask'>;
    return { ...mistaken, stream: right.stream.bind(right), tell: right.tell.bind(right) };
  };

/** They do not look for what ingesters say they have just flushed: as if storage had been asked first. */
const storageFirst = hearing(({ cover = [] }) => ({ cover: cover.map((one) => ({ ...one, recentObjects: [] })) }));

/** They take partitions for read up to now. */
const neverBehind = hearing(({ buffer }) =>
  buffer === undefined ? {} : { buffer: { ...buffer, owned: buffer.owned.map((one) => ({ ...one, watermarkMs: 4e12 })) } },
);

/** They leave out everything that a partition's owner, who has just got it, has not read yet. */
const headsOnly = hearing(({ cover = [] }) => ({ cover: cover.map((one) => ({ ...one, flushedTo: 0 })) }));

/** Objects of which the last one that is put counts: one that owns a partition no more undoes what the next owner has stored. */
const overwritten = (right: Files): Files => ({
  ...right,
  link: (from, to) => right.link(from, to).catch(() => right.rename(from, to)),
});

/** Objects that are there only some time after they were said to be: the log is trimmed before. */
const storedLater = (right: Files, timers: Timers): Files => ({
  ...right,
  link: async (from, to) => {
    const body = await right.read(from);
    timers.after(3_000, () => void right.write(to, body).catch(() => {}));
  },
});

/** `from`: the first seed that is tried, where those before are known to find nothing. */
const broken: [what: string, breakage: Breakage, from?: number][] = [
  ['one copy is enough for an acknowledgement', { ingesters: (_, right) => ({ ...right, quorum: 1 }) }],
  ['an answer is taken for whole though two processes did not answer', { ingesters: (_, right) => ({ ...right, tolerated: 2 }) }],
  ['only those are asked that are alive and active', { ingesters: onlyAlive }, 5],
  [
    'tokens are moved, and the process goes, while the successors lack the heads',
    { departing: departing('hand_over', () => ({ entries: 0, bytes: 0 })) },
    13,
  ],
  ['one that leaves hands over to a single process of another zone', { departing: (right) => ({ ...right, quorum: 1 }) }, 6],
  ['one that leaves does not wait until listings have its objects', { departing: departing('settle', () => ({})) }, 91],
  ['storage is asked before ingesters', { querying: storageFirst }],
  ['a log is trimmed before storage has what it held', { objects: storedLater }],
  ['a push is acknowledged before it is on the disk', { files: (files) => withoutSync(files, 'data') }],
];
const brokenBehindKafka: typeof broken = [
  ['answers claim to have all that Kafka has', { querying: neverBehind }],
  ['what is in storage is taken for what is in heads', { querying: headsOnly }],
  ['an owner of before stores over what the next one has stored', { objects: overwritten }],
];
const all = [...broken.map((one) => ({ one, hasKafka: false })), ...brokenBehindKafka.map((one) => ({ one, hasKafka: true }))];
for (const {
  one: [what, breakage, from = 1],
  hasKafka,
} of all) {
  test(`the simulation notices${hasKafka ? ' behind Kafka' : ''}: ${what}`, async (context) => {
    for (let seed = from; seed < from + MOST_SEEDS; seed++) {
      const simulation = new ClusterSimulation(seed, breakage, hasKafka);
      await simulation.run();
      if (simulation.problems.length === 0) continue;
      context.diagnostic(`seed ${seed}: ${simulation.problems[0].slice(0, 100)}`);
      return;
    }
    assert.fail(`none of ${MOST_SEEDS} seeds from ${from}`);
  });
}
