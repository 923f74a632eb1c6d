import { Fault } from '../../ops/base/fault.ts';
import type { World } from '../../ops/base/world.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { keyPart } from '../blob/keys.ts';

/** A topic as it was made once. One that is made anew under the same name starts from 0: its partitions are other logs, or what they hold would meet objects of the first one's positions. */
export interface TopicGeneration {
  /** 32 hex digits. */
  readonly id: string;
  /** Of the topic's generations, from 0. */
  readonly number: number;
}

const PREFIX = '_kafka/';
const DIGITS = 6;
const NUMBER = /^\d{6}$/;

/** Of what storage knows of a topic. */
export function generationPrefix(topic: string): string {
  return `${PREFIX}${keyPart(topic)}/`;
}

/** The log of a partition; see IngestLog.id. */
export function partitionLog({ id }: TopicGeneration, partition: number): string {
  return `${id}-${partition}`;
}

/** The latest one that storage knows of; undefined: none was ever used. Throws what the store throws, and Fault corrupt. */
export async function latestGeneration(blobs: BlobStore, topic: string): Promise<TopicGeneration | undefined> {
  const prefix = generationPrefix(topic);
  let latest: string | undefined;
  for await (const { key } of blobs.list(prefix)) if (NUMBER.test(key.slice(prefix.length))) latest = key;
  if (latest === undefined) return undefined;
  const id = (await blobs.get(latest)).toString().trim();
  if (!/^[0-9a-f]{32}$/.test(id)) throw new Fault('corrupt', `object ${latest} names no generation of a topic`);
  return { id, number: Number(latest.slice(prefix.length)) };
}

/** The generation after `before`, made here unless another one was faster. Throws what the store throws. */
export async function nextGeneration(
  blobs: BlobStore,
  topic: string,
  before: TopicGeneration | undefined,
  { random }: Pick<World, 'random'>,
): Promise<TopicGeneration> {
  const key = generationPrefix(topic) + String((before?.number ?? -1) + 1).padStart(DIGITS, '0');
  try {
    await blobs.put(key, [Buffer.from(`${random.id()}\n`)], { ifAbsent: true });
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'exists') throw error;
  }
  const latest = await latestGeneration(blobs, topic);
  if (latest === undefined) throw new Fault('unavailable', `storage does not list ${key}, which was just put`);
  return latest;
}

/** The one that is in use; the first is made if there is none. Throws as the two above. */
export async function currentGeneration(blobs: BlobStore, topic: string, world: Pick<World, 'random'>): Promise<TopicGeneration> {
  return (await latestGeneration(blobs, topic)) ?? nextGeneration(blobs, topic, undefined, world);
}
