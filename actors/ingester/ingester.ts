import { MiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import type { Counter } from '../../ops/base/instruments.ts';
import { bytes, duration, type OptionsOf, section } from '../../ops/base/options.ts';
import { batchesIn } from '../../storage/batch/batch.ts';
import type { BlobStore } from '../../storage/blob/blob-store.ts';
import { removeLocalLogs } from '../../storage/log/local-logs.ts';
import { ActiveStreams } from '../active-streams.ts';
import { every } from '../every.ts';
import { type AskContext, type Asker, defineActor, type Handlers, type StartContext } from '../kernel/define.ts';
import type { SharedLimits, TenantLimits } from '../limits.ts';
import { compileMatchers } from '../matchers.ts';
import type { Giver, IngesterAsk, IngesterProcess, IngesterReply, StreamShard, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import { Refusals } from '../refusals.ts';
import type { BufferedDeps } from './buffered-shard.ts';
import { Grant } from './grant.ts';
import { handOver, sendOn } from './hand-over.ts';
import { selected, seriesIn } from './head-reads.ts';
import type { LogHeads, LogHeadsOptions } from './log-heads.ts';
import type { Neighbours } from './neighbours.ts';
import type { OwnLog } from './own-log.ts';
import { ownTailSource } from './own-tail-source.ts';
import { type RecoveredLogs, recoverLogs } from './recover.ts';
import { Seal } from './seal.ts';
import { Tails } from './tails.ts';

export const ingesterOptions = section('ingester', 'ingester', {
  flushBytes: bytes(
    '24MB',
    'Memory of the heads of one shard at which they are flushed to storage as one object: more, up to eight times as much, where many streams would have little each.',
  ),
  maxChunkAge: duration('30m', 'Heads are flushed this long after their first entry.'),
  headCeiling: bytes(
    '160MB',
    'Memory of the heads of one shard beyond which pushes are refused: storage is away or too slow. At least two and a half times what is flushed at once.',
  ),
  streamIdlePeriod: duration('30m', 'A stream counts as active this long after its last push.'),
  walSegmentSize: bytes('32MB', 'Size of the files of an ingest log.', { flag: 'ingester.wal-segment-size' }),
  flushCheckPeriod: duration('1s', 'How often heads are checked for age.', { flag: 'ingester.flush-check-period' }),
});

/** More than any push that the limits on bodies let through. */
const MAX_RECORD_BYTES = 1024 * MiB;

export interface IngesterDeps {
  readonly options: OptionsOf<typeof ingesterOptions>;
  /** Asks the ingesters of others, where there are any. */
  readonly asker: Asker;
  /** Folder of all ingest logs of this process. */
  readonly logRoot: string;
  readonly blobs: BlobStore;
  readonly shard: StreamShard;
  readonly limits: (tenant: string) => TenantLimits;
  readonly shared: SharedLimits;
  /** See ActiveStreams. */
  readonly countedStreams: Int32Array;
  /** How long a querier may go on with a listing, plus the longest query. */
  readonly recentObjectsMs: () => number;
  readonly neighbours: Neighbours;
  /** Where Kafka is in front of ingesters. */
  readonly buffered?: BufferedDeps | undefined;
}

const CONTROL = [
  'status',
  'introduce',
  'flush',
  'seal',
  'hand_over',
  'settle',
  'let_go',
  'offer',
  'end_offer',
  'give_up',
  'renew',
] as const;

/** One that fails and starts anew does not take what nobody would look for there: a seal is its deps'. */
const seals = new WeakMap<IngesterDeps, Seal>();

export const ingester = defineActor<IngesterAsk, IngesterReply, IngesterDeps>({
  name: 'ingester',
  mailbox: { messages: 4_096, bytes: 64 * MiB, concurrency: 4_096, whenFull: 'refuse', control: CONTROL },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 100, max: 5_000 } },
  async start(deps, context) {
    if (deps.buffered !== undefined) {
      // Loaded by who needs it only.
      const { BufferedShard } = await import('./buffered-shard.ts');
      const shard = new BufferedShard(deps, deps.buffered, context);
      return { handlers: shard.handlers(), observe: () => ({ ...shard.status() }), stop: () => shard.stop() };
    }
    const shard = new IngesterShard(deps, context);
    const handlers: Handlers<IngesterAsk, IngesterReply> = {
      push: (ask, asked) => shard.push(ask, asked),
      select: (ask, { tenant }) => shard.select(tenant, ask),
      series: (ask, { tenant }) => shard.series(tenant, ask),
      tail: (ask, asked) => shard.tail(ask, asked),
      flush: () => shard.flush(),
      status: async () => shard.status(),
      introduce: async (ask) => shard.introduce(ask),
      seal: ({ to }) => shard.close(to),
      hand_over: (ask, { signal }) => shard.handOver(ask, signal),
      settle: () => shard.settle(),
      let_go: () => shard.letGo(),
      offer: async ({ giver, bytes }) => shard.offer(giver, bytes),
      take_over: (ask, { tenant }) => shard.takeOver(tenant, ask),
      end_offer: async ({ giver }) => shard.endOffer(giver),
      give_up: notBehindKafka,
      renew: notBehindKafka,
    };
    return { handlers, observe: () => ({ ...shard.status(), tails: shard.tails.count }), stop: () => shard.stop() };
  },
});

async function notBehindKafka(): Promise<never> {
  throw new Fault('unsupported', 'this ingester has a log of its own: there is no Kafka in front of it');
}

/** One start of an ingester: its own log, adopted logs of shards that are no more, and the heads of both. */
class IngesterShard {
  readonly tails = new Tails();
  readonly #deps: IngesterDeps;
  readonly #context: StartContext;
  readonly #seal: Seal;
  readonly #grant: Grant;
  readonly #streams: ActiveStreams;
  readonly #recovered: RecoveredLogs;
  readonly #cancelTick: () => void;
  readonly #appended: Counter;

  constructor(deps: IngesterDeps, context: StartContext) {
    const { world, instruments, incarnation } = context;
    const { options } = deps;
    this.#deps = deps;
    this.#context = context;
    this.#seal = seals.get(deps) ?? new Seal();
    seals.set(deps, this.#seal);
    this.#grant = new Grant(world.clock);
    this.#appended = instruments.counter('loki_ingester_appends_total', 'Batches appended to heads.');
    this.#streams = new ActiveStreams({
      shared: deps.shared,
      counted: deps.countedStreams,
      limits: deps.limits,
      world,
      idleMs: options.streamIdlePeriod,
    });
    const headOptions: LogHeadsOptions = {
      flushBytes: options.flushBytes,
      maxHeadAgeMs: options.maxChunkAge,
      ceilingBytes: options.headCeiling,
      recentObjectsMs: deps.recentObjectsMs,
    };
    this.#recovered = recoverLogs(
      {
        root: deps.logRoot,
        log: { segmentBytes: options.walSegmentSize, maxRecordBytes: MAX_RECORD_BYTES },
        shard: deps.shard,
        blobs: incarnation.fence(deps.blobs),
        options: headOptions,
        applied: (place, tenant, batches) => this.tails.publish(place, tenant, batchesIn(batches)),
      },
      context,
    );
    this.#recovered.ready.catch((error) => incarnation.fail(error));
    this.#cancelTick = every(world.timers, options.flushCheckPeriod, () => {
      if (this.#seal.hasLeft) return;
      for (const heads of this.#heads()) heads.flushIfDue();
      const { own } = this.#recovered;
      if (own !== undefined) this.tails.mark({ log: own.log.id, position: own.appliedTo });
      this.#streams.sweep();
    });
  }

  /** The log that takes pushes; throws unavailable while the logs are being replayed, when every answer would be short. */
  #own(): OwnLog {
    const { own, progress } = this.#recovered;
    if (this.#seal.hasLeft) throw new Fault('unavailable', 'this instance has left the ring', { retryAfterS: 1 });
    if (own === undefined) throw new Fault('unavailable', progress.waitsFor ?? 'the ingest log is being replayed', { retryAfterS: 1 });
    return own;
  }

  push({ batches, meantFor, isSentOn }: Extract<IngesterAsk, { kind: 'push' }>, asked: AskContext): Promise<IngesterReply['push']> {
    return this.#seal.pushed(
      () => this.#take(asked.tenant, batches, meantFor),
      // Two that leave at once may be each other's successors.
      (to) => (isSentOn ? Promise.reject(leaving()) : sendOn(batches, to, this.#deps.asker, asked)),
    );
  }

  /** The log that takes pushes; throws unavailable if it has no room, or if what it takes might not be looked for here. */
  #open(meantFor?: string): OwnLog {
    const own = this.#own();
    const closed = this.#deps.neighbours.whyNoWrites(meantFor);
    if (closed !== undefined) throw closed;
    if (own.heads.full)
      throw new Fault('unavailable', `heads hold ${own.heads.bytes} bytes and storage does not take them`, { retryAfterS: 5 });
    return own;
  }

  async #take(tenant: string, parts: Uint8Array[], meantFor: string | undefined): Promise<IngesterReply['push']> {
    const own = this.#open(meantFor);
    const refusals = new Refusals();
    const admitted: Buffer[] = [];
    let acceptedLines = 0;
    let acceptedBytes = 0;
    let batches = 0;
    for (const part of parts) {
      for (const batch of batchesIn(part as Buffer)) {
        if (!this.#streams.admit(tenant, batch, refusals)) continue;
        admitted.push(batch.bytes);
        batches++;
        acceptedLines += batch.rows;
        acceptedBytes += batch.lineBytes + batch.metadataBytes;
      }
    }
    if (admitted.length > 0) {
      const whole = refusals.none && parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(admitted);
      await own.push(tenant, whole);
      this.#appended.add(batches);
    }
    return { acceptedLines, acceptedBytes, refusals: refusals.list() };
  }

  introduce({ process, registration, meantFor }: Extract<IngesterAsk, { kind: 'introduce' }>): IngesterReply['introduce'] {
    const { neighbours } = this.#deps;
    const closed = neighbours.whyNoReads(meantFor);
    if (closed !== undefined) throw closed;
    return { hasHeard: neighbours.hasHeardOf(process, registration) };
  }

  /** The shard's own log, if all that this process has is here; throws unavailable otherwise. */
  #readable(meantFor?: string): OwnLog {
    const closed = this.#deps.neighbours.whyNoReads(meantFor);
    if (closed !== undefined) throw closed;
    return this.#own();
  }

  async select(tenant: string, ask: Extract<IngesterAsk, { kind: 'select' }>): Promise<IngesterReply['select']> {
    this.#readable(ask.meantFor);
    return { ...selected(this.#heads(), tenant, ask), others: this.#deps.neighbours.beyond(ask.known) };
  }

  async series(tenant: string, ask: Extract<IngesterAsk, { kind: 'series' }>): Promise<IngesterReply['series']> {
    this.#readable(ask.meantFor);
    return { ...seriesIn(this.#heads(), tenant, ask), others: this.#deps.neighbours.beyond(ask.known) };
  }

  #heads(): LogHeads[] {
    return this.#recovered.logs.map(({ heads }) => heads);
  }

  /** See Tails.listen. Adopted logs take in nothing, so only the shard's own is listened to. */
  tail(
    { matchers, shard, resume }: Extract<IngesterAsk, { kind: 'tail' }>,
    { tenant, signal }: AskContext,
  ): AsyncIterable<TailBegun | TailedBatches> {
    const source = ownTailSource(this.#readable());
    return this.tails.listen(tenant, { matchers: compileMatchers(matchers), shard }, source, { resume, signal });
  }

  async flush(): Promise<IngesterReply['flush']> {
    this.#own();
    let objects = 0;
    for (const heads of this.#heads()) objects += await heads.flush();
    return { objects };
  }

  async close(successors: IngesterProcess[]): Promise<IngesterReply['seal']> {
    const wasSealed = this.#seal.isClosed;
    await this.#seal.close(successors);
    return { wasSealed };
  }

  handOver({ giver, to }: Extract<IngesterAsk, { kind: 'hand_over' }>, signal: AbortSignal): Promise<IngesterReply['hand_over']> {
    this.#own();
    return handOver(this.#recovered.logs, { asker: this.#deps.asker, world: this.#context.world, giver, to, signal });
  }

  async settle(): Promise<IngesterReply['settle']> {
    this.#own();
    await Promise.all(this.#heads().map((heads) => heads.listed()));
    return {};
  }

  async letGo(): Promise<IngesterReply['let_go']> {
    const { logs } = this.#recovered;
    // A thread that began anew since may have taken pushes: its log stays for the next start.
    if (!this.#seal.isClosed) throw new Fault('unavailable', 'this shard was not sealed, its log is kept');
    this.#seal.leave();
    await Promise.all(logs.map(({ log }) => log.close()));
    // A start under the same name would take them in once more.
    await removeLocalLogs(this.#context.world.files, this.#deps.logRoot, new Set(logs.map(({ log }) => log.id)));
    return {};
  }

  offer(giver: Giver, bytes: number): IngesterReply['offer'] {
    if (this.#seal.isClosed) return { refusal: 'it leaves the ring itself' };
    const { own } = this.#recovered;
    if (own === undefined) return { refusal: 'its ingest log is being replayed' };
    const closed = this.#deps.neighbours.whyNoWrites();
    if (closed !== undefined) return { refusal: closed.message };
    if (own.heads.full) return { refusal: `its heads hold ${own.heads.bytes} bytes` };
    if (!this.#grant.give(giver)) return { refusal: 'another handoff to it is under way' };
    this.#context.instruments.log.info('takes over what another instance had', { from: giver.process, head_bytes: bytes });
    return { refusal: '' };
  }

  async takeOver(tenant: string, { giver, batches }: Extract<IngesterAsk, { kind: 'take_over' }>): Promise<IngesterReply['take_over']> {
    this.#grant.renew(giver);
    // Who leaves itself would have to hand it on.
    const refuse = (): Promise<never> => Promise.reject(leaving());
    await this.#seal.pushed(() => this.#open().push(tenant, Buffer.concat(batches), true), refuse);
    return {};
  }

  endOffer(giver: Giver): IngesterReply['end_offer'] {
    this.#grant.end(giver);
    return {};
  }

  status(): IngesterReply['status'] {
    const { own, logs, progress } = this.#recovered;
    const closed = this.#deps.neighbours.whyNoWrites();
    return {
      state: own === undefined ? 'replaying' : closed === undefined ? 'ready' : 'introducing',
      replayedRecords: progress.records,
      replayLeft: progress.logsLeft,
      waitsFor: progress.waitsFor ?? closed?.message ?? '',
      streams: this.#streams.count,
      headBytes: logs.reduce((sum, { heads }) => sum + heads.bytes, 0),
    };
  }

  async stop(): Promise<void> {
    this.#cancelTick();
    this.#streams.clear();
    await Promise.all(this.#recovered.logs.map(({ log }) => log.close()));
  }
}

function leaving(): Fault {
  return new Fault('unavailable', 'this instance leaves the ring itself', { retryAfterS: 1 });
}
