import type { Fault } from '../../ops/base/fault.ts';
import type { LogPlace, MissedEntries, TailBegun, TailedBatches } from '../protocol/ingest.ts';
import type { TailedPlace } from '../protocol/tail.ts';

/** What comes from one ingester instance. */
export interface Feed {
  readonly group: string;
  readonly ingester: string;
  state: 'opening' | 'open' | 'away';
  /** Whether it was open before. */
  hasBegun: boolean;
  /** Whether the ingester is still one of those that may take in entries. */
  isWanted: boolean;
}

/** What came from an ingester, less what others had sent before. To be told when it was passed on. */
export interface Arrived {
  readonly batches: readonly Uint8Array[];
  readonly missed: readonly MissedEntries[];
  readonly place: TailedPlace;
}

/** Which of what ingesters send is new to a tail, where each is to go on, and whether what does not come is missed. */
export interface TailedLogs {
  /** Where to resume so that nothing is missed that was not passed on. */
  places(): readonly TailedPlace[];
  /** Where a feed goes on; undefined: it begins. */
  resumption(feed: Feed): readonly LogPlace[] | undefined;
  begun(feed: Feed, begun: TailBegun): void;
  arrived(feed: Feed, part: TailedBatches): Arrived;
  passed(arrived: Arrived): void;
  lost(feed: Feed, fault: Fault): void;
  /** The feed is followed no more. */
  over(feed: Feed): void;
  /** Whether all comes that is acknowledged from now on. */
  isOpen(feeds: readonly Feed[]): boolean;
  /** Whether so little comes that entries may be missed for good. */
  isShort(feeds: readonly Feed[]): boolean;
  close(): void;
}
