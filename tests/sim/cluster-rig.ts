import assert from 'node:assert/strict';
import { ringIngesters } from '../../actors/ingesters.ts';
import { noInstruments } from '../../ops/base/instruments.ts';
import { type FakeWorld, fakeWorld } from '../../ops/base/world-fake.ts';
import { MemoryKv } from '../../topology/ring/kv.ts';
import { tokensOf } from '../../topology/ring/tokens.ts';
import { numbers } from '../support/checks.ts';
import { FakeBus } from '../support/fake-broker.ts';
import { PowerCutFiles } from '../support/power-cut-files.ts';
import { ClusterProcess, type ProcessParts } from './cluster-process.ts';
import { START_NS } from './sent-entries.ts';

/** A listing may be as old. */
export const RECENT_OBJECTS_MS = 1_000;
export const lines = numbers(60).map((number) => `line ${String(number).padStart(2, '0')}`);

/** Processes of a cluster, each with a disk of its own, over a network that loses nothing. */
export class ClusterRig {
  readonly world: FakeWorld = fakeWorld(1, new PowerCutFiles());
  readonly kv = new MemoryKv(this.world.clock);
  readonly objects = new PowerCutFiles();
  readonly disks = new Map<string, PowerCutFiles>();
  readonly told: string[] = [];
  readonly processes = new Map<string, ClusterProcess>();
  readonly #isolated = new Set<string>();
  readonly #bus = new FakeBus(this.world, { lossRatio: 0, delayMs: [0, 1], isolated: this.#isolated });

  constructor() {
    this.objects.clock = this.world.clock;
  }

  /** Starts one process after the other. */
  static async start(zones: Record<string, string>): Promise<ClusterRig> {
    const rig = new ClusterRig();
    for (const [id, zone] of Object.entries(zones)) await rig.start(id, zone);
    return rig;
  }

  /** Resolves once it is active. `parts`: what is not as usual. */
  async start(id: string, zone: string, parts: Partial<ProcessParts> = {}): Promise<ClusterProcess> {
    const files = this.disks.get(id) ?? new PowerCutFiles();
    this.disks.set(id, files);
    const tell = (message: string, fields: object = {}): void =>
      void this.told.push(`${message} ${Object.values(fields).join(' ')}`.trim());
    const process = await ClusterProcess.start(id, files, {
      world: this.world,
      diskOf: (disk) => disk,
      bus: this.#bus,
      kv: this.kv,
      objects: this.objects,
      zone,
      ingestersOf: (ring) => ringIngesters(ring, 3),
      instruments: { ...noInstruments, log: { ...noInstruments.log, info: tell, warn: tell } },
      options: { shards: 2, limits: { maxGlobalStreamsPerUser: 50 }, recentObjectsMs: RECENT_OBJECTS_MS, querier: { maxListingAge: 500 } },
      heartbeatMs: 1_000,
      heartbeatTimeoutMs: 10_000,
      ...parts,
    });
    this.processes.set(id, process);
    await this.when(() => process.member.state === 'ACTIVE');
    await this.world.advance(100);
    return process;
  }

  of(id: string): ClusterProcess {
    return this.processes.get(id)!;
  }

  when(condition: () => boolean): Promise<void> {
    return this.world.runUntil(condition, { withinMs: 300_000 });
  }

  /** The outcome, while time goes on. */
  async soon<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    work.then(done, done);
    while (!isDone) await this.world.advance(10);
    return work;
  }

  /** All lines, in thirty streams, through `id`. */
  async push(id: string): Promise<void> {
    const entries = lines.map((line, index) => ({ labels: { app: `app-${index % 30}` }, timeNs: START_NS + BigInt(index), line }));
    const { fault, acceptedLines } = await this.soon(this.of(id).store.push(entries));
    assert.deepEqual([fault, acceptedLines], [undefined, lines.length]);
  }

  async found(id: string): Promise<string[]> {
    return (await this.soon(this.of(id).store.lines('{app=~".+"}'))).sort();
  }

  async drain(id: string): Promise<void> {
    await this.soon(this.of(id).member.drain());
    await this.world.advance(1_000);
  }

  /** Nobody reaches it any more. `host`, `process`: where it runs, if it has another start elsewhere. */
  lose(id: string, host = id, process = this.of(id)): void {
    this.#isolated.add(host);
    process.isolated = true;
  }

  /** It is within reach again. */
  regain(id: string, host = id, process = this.of(id)): void {
    this.#isolated.delete(host);
    process.isolated = false;
  }

  async owned(id: string): Promise<string[]> {
    return (await tokensOf(this.kv, id)).map(({ set }) => `${set.id} ${set.epoch}`);
  }

  async hasFlushed(): Promise<boolean> {
    return (await this.objects.list('/data/objects')).some(({ name }) => name === '_l0');
  }

  logsOf(id: string): Promise<{ name: string }[]> {
    return this.disks.get(id)!.list('/data/wal');
  }
}
