import type { Readable } from 'node:stream';
import { duration } from '../base/options.ts';
import { parseTime } from './times.ts';

/** Where a command reads and writes; the process in earnest, buffers in tests. */
export interface Io {
  stdin: Readable;
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  env: Readonly<Record<string, string | undefined>>;
}

export interface Command {
  summary: string;
  help: string;
  /** Returns the exit code. Throws UsageError for wrong arguments and CommandError for what the user can do something about. */
  run(args: string[], io: Io): Promise<number>;
}

/** The command was called wrongly: exit code 2, and a hint at --help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something outside failed: exit code 1, the message is all the user sees. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Options of every command that talks to a server. */
export const serverOptions = {
  addr: { type: 'string' },
  tenant: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const serverHelp = `  --addr URL        server to talk to (LOKI_ADDR; http://127.0.0.1:3100)
  --tenant ID       tenant, sent as X-Scope-OrgID (LOKI_ORG_ID)
  -h, --help        show this`;

/** Options of every command that asks about a time range. */
export const rangeOptions = {
  since: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
} as const;

export const rangeHelp = `  --since DURATION  how far back to look, such as 30m, 6h or 7d (1h)
  --from TIME       start instead of --since: RFC 3339 or an epoch in s, ms or ns
  --to TIME         end, exclusive (now)`;

/** Options of commands that run a query. */
export const queryOptions = {
  ...serverOptions,
  ...rangeOptions,
  limit: { type: 'string', default: '100' },
  forward: { type: 'boolean', default: false },
  instant: { type: 'boolean', default: false },
  step: { type: 'string' },
} as const;

/** The time range asked for, [fromNs, toNs). */
export function timeRange(options: { since?: string; from?: string; to?: string }, nowMs = Date.now()): { fromNs: bigint; toNs: bigint } {
  if (options.since !== undefined && options.from !== undefined) throw new UsageError('--since and --from exclude each other');
  const toNs = options.to === undefined ? BigInt(nowMs) * 1_000_000n : timeOption('--to', options.to, nowMs);
  const fromNs =
    options.from === undefined
      ? toNs - BigInt(durationMs('--since', options.since ?? '1h')) * 1_000_000n
      : timeOption('--from', options.from, nowMs);
  if (fromNs >= toNs) throw new UsageError('the time range is empty: --from is not before --to');
  return { fromNs, toNs };
}

function timeOption(name: string, text: string, nowMs: number): bigint {
  const time = text === 'now' ? BigInt(nowMs) * 1_000_000n : parseTime(text, nowMs);
  if (time === undefined) throw new UsageError(`${name} is not a time: ${text}`);
  return time;
}

export function durationMs(name: string, text: string): number {
  try {
    return duration('0', '').parse(text);
  } catch {
    throw new UsageError(`${name} is not a duration: ${text}`);
  }
}
