/** States of an instance, as it tells them of itself. UNHEALTHY: its heartbeats did not land for a while, or it has stopped and will be back: it answers whoever asks, and is not chosen
 *  for anything new. */
export type InstanceState = 'PENDING' | 'JOINING' | 'ACTIVE' | 'UNHEALTHY' | 'LEAVING';

const STATES: ReadonlySet<string> = new Set<InstanceState>(['PENDING', 'JOINING', 'ACTIVE', 'UNHEALTHY', 'LEAVING']);

/** What an instance says of itself. */
export interface Instance {
  readonly id: string;
  /** Of this start: another start of the same instance has another. */
  readonly incarnation: string;
  /** Of its key: another one after a restart, and once the key was removed and made anew. */
  readonly registration: string;
  readonly state: InstanceState;
  /** All who were there have heard of it, since its key was made. */
  readonly introduced: boolean;
  /** What fails together: copies of a stream are never in one zone. */
  readonly zone: string;
  /** Parts into which it divides its streams by hash, each with a log of its own. */
  readonly shards: number;
  /** Where people and tools reach it, '' if nowhere. */
  readonly url: string;
  /** Versions of the protocols between processes that it speaks. */
  readonly leastVersion: number;
  readonly mostVersion: number;
  /** Wall clock. */
  readonly registeredMs: number;
  /** Counts its heartbeats. */
  readonly beat: number;
  /** Of the ingest topic, those that it reads; absent where there is no Kafka. As of its last heartbeat. */
  readonly partitions?: readonly number[];
}

/** Tokens of a ring: each owns the hashes between the token before it and itself. A set moves from one owner to another as a whole. */
export interface TokenSet {
  readonly id: string;
  /** Id of an instance. */
  readonly owner: string;
  /** Counts its owners. */
  readonly epoch: number;
  /** Unsigned 32-bit, ascending. */
  readonly tokens: readonly number[];
}

const INSTANCE_PREFIX = 'instance.';
const TOKENS_PREFIX = 'tokens.';

export function instanceKey(id: string): string {
  return INSTANCE_PREFIX + keyPart(id);
}

export function tokensKey(id: string): string {
  return TOKENS_PREFIX + keyPart(id);
}

/** What of a key names one thing, from letters, digits, `-`, `_` and `=XX` for every other byte. */
function keyPart(text: string): string {
  let part = '';
  for (const byte of Buffer.from(text)) {
    const character = String.fromCharCode(byte);
    part += /[A-Za-z0-9_-]/.test(character) ? character : `=${byte.toString(16).padStart(2, '0').toUpperCase()}`;
  }
  return part === '' ? '=' : part;
}

export function isInstanceKey(key: string): boolean {
  return key.startsWith(INSTANCE_PREFIX);
}

export function isTokensKey(key: string): boolean {
  return key.startsWith(TOKENS_PREFIX);
}

/** Undefined for what is none: a later version may write more, and its unknown fields are ignored. */
export function readInstance(text: string): Instance | undefined {
  const read = plainObject(text);
  if (read === undefined || !STATES.has(String(read.state))) return undefined;
  const texts = [read.id, read.incarnation, read.registration, read.zone, read.url];
  const numbers = [read.shards, read.leastVersion, read.mostVersion, read.registeredMs, read.beat];
  if (!texts.every(isText) || !numbers.every(isCount)) return undefined;
  const { partitions = [] } = read;
  if (!Array.isArray(partitions) || !partitions.every(isCount)) return undefined;
  return typeof read.introduced === 'boolean' ? (read as unknown as Instance) : undefined;
}

export function readTokenSet(text: string): TokenSet | undefined {
  const read = plainObject(text);
  if (read === undefined || !isText(read.id) || !isText(read.owner) || !isCount(read.epoch) || !Array.isArray(read.tokens))
    return undefined;
  const isAscending = read.tokens.every((token, at, all) => isCount(token) && token < 2 ** 32 && (at === 0 || token > all[at - 1]));
  return isAscending ? (read as unknown as TokenSet) : undefined;
}

function plainObject(text: string): Record<string, unknown> | undefined {
  try {
    const read: unknown = JSON.parse(text);
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? (read as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
