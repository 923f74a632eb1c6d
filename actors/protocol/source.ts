import { protocol } from '../kernel/define.ts';

export interface SourceStatus {
  readonly topics: readonly string[];
  /** Why nothing is read; '' if it is. */
  readonly waitsFor: string;
  /** Those that are this process's. */
  readonly partitions: number;
  readonly lagRecords: number;
  readonly taken: number;
  readonly deadLetters: number;
}

export type SourceAsk = { kind: 'status' };
export type SourceReply = { status: { sources: SourceStatus[] } };
export const sourceProtocol = protocol<SourceAsk, SourceReply>('kafka-source');
