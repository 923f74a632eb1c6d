import { keyPart } from '../blob/keys.ts';
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

const GIVEN_UP = '.damaged';

/** The key to which an operator moves an object that cannot be read, so that everything goes on without it. */
export function givenUpKey(key: string): string {
  return key + GIVEN_UP;
}

/** What the key of a level-0 object was before it was moved there; undefined if `key` is no such key. */
export function parseGivenUpKey(key: string): { log: string; from: Position } | undefined {
  return key.endsWith(GIVEN_UP) ? parseLevelZeroKey(key.slice(0, -GIVEN_UP.length)) : undefined;
}

/** What the key of a segment says of it. */
export interface SegmentKey {
  readonly tenant: string;
  /** UTC days since the epoch. */
  readonly day: number;
  /** From 1. */
  readonly level: number;
  /** Smallest and largest time, ns after the day's start. */
  readonly minOffset: number;
  readonly maxOffset: number;
  /** 32 hex digits. */
  readonly id: string;
}

const OFFSET_DIGITS = 14;

/** Prefix of a tenant's segments. */
export function segmentPrefix(tenant: string): string {
  return `${keyPart(tenant)}/`;
}

/** `<tenant>/<day>/<level>-<min>-<max>-<id>.seg` */
export function segmentKey({ tenant, day, level, minOffset, maxOffset, id }: SegmentKey): string {
  const [min, max] = [minOffset, maxOffset].map((offset) => String(offset).padStart(OFFSET_DIGITS, '0'));
  return `${segmentPrefix(tenant)}${day}/${level}-${min}-${max}-${id}.seg`;
}

/** Undefined if `key` is not a segment's. */
export function parseSegmentKey(key: string): SegmentKey | undefined {
  const match = /^([^/]+)\/(\d{1,9})\/([1-9]\d{0,2})-(\d{14})-(\d{14})-([0-9a-f]{32})\.seg$/.exec(key);
  if (match === null) return undefined;
  const [day, level, minOffset, maxOffset] = match.slice(2, 6).map(Number);
  try {
    const parsed = { tenant: decodeURIComponent(match[1]), day, level, minOffset, maxOffset, id: match[6] };
    return segmentKey(parsed) === key ? parsed : undefined;
  } catch {
    return undefined; // a folder that no tenant has
  }
}
