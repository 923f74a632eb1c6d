import type { Position } from '../log/ingest-log.ts';

const PREFIX = '_l0/';
const DIGITS = 16;

/** Prefix of a log's level-0 objects, or of all logs'. */
export function levelZeroPrefix(log?: string): string {
  return log === undefined ? PREFIX : `${PREFIX}${log}/`;
}

/** `_l0/<log>/<from>`: one key per start, so of two writers of a log only one can continue its chain. Key order is the order of positions. */
export function levelZeroKey(log: string, from: Position): string {
  return `${levelZeroPrefix(log)}${String(from).padStart(DIGITS, '0')}`;
}

/** Undefined if `key` is not a level-0 object's. */
export function parseLevelZeroKey(key: string): { log: string; from: Position } | undefined {
  const match = /^_l0\/([a-z0-9-]+)\/(\d{16})$/.exec(key);
  return match === null ? undefined : { log: match[1], from: Number(match[2]) };
}
