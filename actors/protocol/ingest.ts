import type { Matcher } from '../../logql/model.ts';
import type { WireFault } from '../../ops/base/fault.ts';
import type { HeadSlice } from '../../storage/chunk/memory-block.ts';
import type { RingProcess, SeenProcess } from '../../topology/ring/ring.ts';
import { protocol, type StreamOf } from '../kernel/define.ts';

/** A part of all streams: those with shardOf(hash, of) === index. {0, 1} is all of them. */
export interface StreamShard {
  readonly index: number;
  readonly of: number;
}

export type DistributorAsk = {
  kind: 'push';
  /** Whose request it is: one of Loki's push API, or OTLP's export of logs. `rows`: Loki's as protobuf without compression, from one of ours, who is told of each entry that is refused. */
  format: 'loki' | 'otlp' | 'rows';
  /** As received, decompressed and decoded by the distributor. */
  body: Uint8Array;
  contentType: string;
  contentEncoding: string;
  /** What entries of OTLP without a time get, milliseconds since 1970; if absent, the time at which they are decoded. */
  timeMs?: number;
};

export interface PushOutcome {
  /** Entries that are durable. */
  readonly acceptedLines: number;
  readonly acceptedBytes: number;
  /** Why part of the push was not taken, or all of it. Absent: all was taken. */
  readonly fault?: WireFault;
  /** Of `rows`: the entries that cannot be taken, however often they come. */
  readonly refused?: readonly RefusedEntry[];
}

export interface RefusedEntry {
  /** Among all of the push, from 0. */
  readonly entry: number;
  readonly reason: string;
  readonly message: string;
}

export type DistributorReply = { push: PushOutcome };
export const distributorProtocol = protocol<DistributorAsk, DistributorReply>('distributor');

/** A process with ingesters: one for each of its shards. */
export type IngesterProcess = RingProcess;

/** A process that leaves. */
export interface Giver {
  readonly process: string;
  /** Of this try to leave. */
  readonly attempt: string;
}

/** For one start of a process only: another one, before or after it, may lack what it had, and refuses. Absent: whichever hears it. */
interface Meant {
  meantFor?: string;
}

export type IngesterAsk =
  | ({ kind: 'push'; batches: Uint8Array[]; isSentOn?: true } & Meant) // `isSentOn`: by one that leaves, not to be sent on again
  // `known`: processes that are asked too; `afterWrite`: not before what is in Kafka now was read, within limits. [fromNs, toNs)
  | ({ kind: 'select'; matchers: Matcher[]; fromNs: bigint; toNs: bigint; shard: StreamShard; known: string[]; afterWrite?: true } & Meant)
  | ({ kind: 'series'; matcherSets: Matcher[][]; fromNs: bigint; toNs: bigint; shard: StreamShard; known: string[] } & Meant)
  | { kind: 'tail'; matchers: Matcher[]; shard: StreamShard; resume?: readonly LogPlace[] } // what is taken in from now on, or from where a tail was in its logs
  | { kind: 'flush' } // every tenant; resolves once all is in object storage
  | { kind: 'status' }
  | ({ kind: 'introduce'; process: string; registration: string } & Meant) // of one that is new in the ring
  // Of a shard whose process leaves for good, in this order:
  | { kind: 'seal'; to: IngesterProcess[] } // pushes are theirs from now on, or nobody's; resolves once those that are under way are done
  | { kind: 'hand_over'; giver: Giver; to: IngesterProcess[] } // resolves once all that is in heads is durable with each of them
  | { kind: 'settle' } // resolves once every query knows of each object that was flushed here
  | { kind: 'let_go' } // the process is in the ring no more: nothing is answered, and the logs go
  // Of one behind Kafka:
  | { kind: 'give_up'; partition: number; from: number; to: number } // records that Kafka has not any more: the partition goes on without them
  | { kind: 'renew' } // the topic was made anew: it is read from its begin
  // Of a shard of one that takes over:
  | { kind: 'offer'; giver: Giver; bytes: number } // in its heads
  | { kind: 'take_over'; giver: Giver; batches: Uint8Array[] } // as a push, but what was acknowledged before is within every limit
  | { kind: 'end_offer'; giver: Giver };

export interface StreamRefusal {
  readonly fault: WireFault;
  readonly lines: number;
  readonly bytes: number;
  readonly reason: string;
}

/** Where the heads in a reply begin. The querier leaves out the log's objects that start at or after `flushedTo` (the reply holds their entries)
 *  and includes those named here even if its own listing lacks them. */
export interface LogCover {
  readonly log: string;
  readonly flushedTo: number;
  readonly recentObjects: readonly string[];
}

/** What a shard has of the partitions of the ingest topic, where Kafka is in front of ingesters. */
export interface BufferCover {
  /** Of the topic; 0: it is not known here yet. */
  readonly partitions: number;
  /** Those that are the shard's; `watermarkMs`: all that the partition took in before is in heads or in storage, ms since the epoch. */
  readonly owned: readonly { readonly partition: number; readonly watermarkMs: number }[];
  /** What was there when it was asked has not been read in time, though that was asked for. */
  readonly isLate?: true;
}

export interface SelectReply {
  readonly cover: readonly LogCover[];
  readonly buffer?: BufferCover;
  /** Those that are known here and are not asked yet. */
  readonly others: readonly SeenProcess[];
  readonly streams: readonly { readonly labels: string; readonly hash: string; readonly slices: readonly HeadSlice[] }[];
}

/** A place in an ingest log: records below `position` are behind it. */
export interface LogPlace {
  readonly log: string;
  readonly position: number;
}

/** Entries of one stream that a tail was too slow for; some of them may not have been what it asked for. */
export interface MissedEntries {
  /** Canonical text. */
  readonly labels: string;
  readonly timesNs: readonly bigint[];
}

/** Comes first: the tail hears of every record from these places on, as far as they come to be read here. */
export interface TailBegun {
  readonly kind: 'begun';
  /** Of logs that are read here, or where it was to go on. */
  readonly places: readonly LogPlace[];
  /** Where logs end that are read elsewhere. */
  readonly ends: readonly LogPlace[];
}

/** What the tailed streams have in records [from, next.position) of a log, as soon as those are durable and in their heads; without any, records before it do not come from here. Of the last of several pieces of a record `next` is
 *  behind it, of those before it is not. */
export interface TailedBatches {
  readonly kind: 'batches';
  readonly from: number;
  readonly next: LogPlace;
  readonly batches: readonly Uint8Array[];
  /** Of the record of each batch; ascending. */
  readonly positions: readonly number[];
  readonly missed: readonly MissedEntries[];
}

/** A partition of the ingest topic at its owner. */
export interface PartitionStatus {
  readonly partition: number;
  /** `stopped`: what is next is not what follows, and somebody has to say how to go on. */
  readonly state: 'catching_up' | 'reading' | 'stopped';
  /** Records below it are in heads or in storage. */
  readonly position: number;
  /** Records that are behind it. */
  readonly lag: number;
  /** See BufferCover. */
  readonly watermarkMs: number;
  /** Why nothing is read; '' if it is. */
  readonly waitsFor: string;
}

export interface IngesterStatus {
  /** Whether pushes are taken; otherwise why not. */
  readonly state: 'replaying' | 'introducing' | 'ready';
  readonly replayedRecords: number;
  readonly replayLeft: number;
  /** What has to be done, or has to happen, before it goes on; '' if nothing has. */
  readonly waitsFor: string;
  readonly streams: number;
  readonly headBytes: number;
  /** That are this shard's. */
  readonly partitions?: readonly PartitionStatus[];
}

export type IngesterReply = {
  push: { acceptedLines: number; acceptedBytes: number; refusals: StreamRefusal[] };
  select: SelectReply;
  series: { cover: readonly LogCover[]; buffer?: BufferCover; others: readonly SeenProcess[]; labels: readonly string[] };
  tail: StreamOf<TailBegun | TailedBatches>;
  flush: { objects: number };
  status: IngesterStatus;
  introduce: { hasHeard: boolean };
  /** Whether it was sealed before, so that nothing was taken since. */
  seal: { wasSealed: boolean };
  hand_over: { entries: number; bytes: number };
  settle: Record<never, never>;
  let_go: Record<never, never>;
  /** '': granted; otherwise why not. */
  offer: { refusal: string };
  take_over: Record<never, never>;
  end_offer: Record<never, never>;
  give_up: Record<never, never>;
  renew: Record<never, never>;
};
export const ingesterProtocol = protocol<IngesterAsk, IngesterReply>('ingester');
