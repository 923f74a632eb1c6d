import { protocol } from '../kernel/define.ts';

/** Compacts what is due, and deletes what nobody reads any more, now rather than at its time; resolves when nothing is left to do. */
export type CompactorAsk = { kind: 'compact' };
export type CompactorReply = { compact: { compacted: number; deleted: number } };
export const compactorProtocol = protocol<CompactorAsk, CompactorReply>('compactor');
