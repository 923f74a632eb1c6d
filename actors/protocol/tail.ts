import { protocol, type StreamOf } from '../kernel/define.ts';
import type { LogPlace, MissedEntries, StreamShard } from './ingest.ts';

/** How far a tail is in the log of an ingester instance. */
export interface TailedPlace extends LogPlace {
  readonly ingester: string;
}

/** A log query over what all ingesters take in of some streams from now on, and over what was there. Runs until the caller leaves. */
export type TailerAsk = {
  kind: 'tail';
  query: string;
  shard: StreamShard;
  /** The latest `limit` entries in [fromNs, toNs) come first. */
  fromNs: bigint;
  toNs: bigint;
  limit: number;
  categorize: boolean;
  legacy: boolean;
  /** Goes on where an earlier tail ended; then there are no entries from before. */
  resume?: readonly TailedPlace[];
};

export interface TailedEntries {
  /** `open` comes first and has no entries: whatever is acknowledged from now on will come. Then `history`, once (but not when resuming), then `live`.
   *  Without resuming, entries that are acknowledged while history is read may be in both. */
  readonly phase: 'open' | 'history' | 'live';
  /** Where to resume. */
  readonly next: readonly TailedPlace[];
  /** A log frame: history newest first, live as it came. Empty: no entries. */
  readonly frame: Uint8Array[];
  readonly missed: readonly MissedEntries[];
}

export type TailerReply = { tail: StreamOf<TailedEntries> };
export const tailerProtocol = protocol<TailerAsk, TailerReply>('tailer');

/** The tail that a client asked for: of all shards, in the order of time. Runs until the caller leaves. */
export type TailFrontendAsk = {
  kind: 'tail';
  query: string;
  startNs: bigint;
  limit: number;
  /** Entries are held back until they are so old, for those that come late to be put in front of them. */
  delayMs: number;
  categorize: boolean;
  /** As it was under /api/prom. */
  legacy: boolean;
};

/** A message to the client, JSON; the first one is empty and says that every shard is being listened to. */
export interface TailMessage {
  readonly body: Uint8Array;
}
export type TailFrontendReply = { tail: StreamOf<TailMessage> };
export const tailFrontendProtocol = protocol<TailFrontendAsk, TailFrontendReply>('tail-frontend');
