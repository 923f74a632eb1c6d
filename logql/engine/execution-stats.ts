/** What an execution looked at. */
export interface ExecutionStats {
  /** Rows, line bytes and metadata bytes of the blocks that were looked into or counted by their headers. */
  lines: number;
  lineBytes: number;
  metadataBytes: number;
  /** Rows that the pipeline kept and that are behind the place where the answer begins. */
  matchedLines: number;
  blocks: number;
  /** Blocks whose columns were not touched. */
  blocksByHeader: number;
  /** How often rows were left out because the limit was reached; unless 0, there may be more matches than were counted. */
  cutShort: number;
}

export function noStats(): ExecutionStats {
  return { lines: 0, lineBytes: 0, metadataBytes: 0, matchedLines: 0, blocks: 0, blocksByHeader: 0, cutShort: 0 };
}

export function countBlock(stats: ExecutionStats, block: { rows: number; lineBytes: number; metadataBytes: number }): void {
  stats.blocks++;
  stats.lines += block.rows;
  stats.lineBytes += block.lineBytes;
  stats.metadataBytes += block.metadataBytes;
}
