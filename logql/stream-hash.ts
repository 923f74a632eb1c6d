import type { Labels } from './model.ts';

const MASK = (1n << 64n) - 1n;
const PRIMES: readonly bigint[] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const STRIPE = 32;

const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (64n - bits))) & MASK;
const round = (lane: bigint, input: bigint): bigint => (rotate((lane + input * PRIMES[1]) & MASK, 31n) * PRIMES[0]) & MASK;

/** XXH64 with seed 0. */
export function xxh64(bytes: Buffer): bigint {
  let at = 0;
  let hash: bigint = PRIMES[4];
  if (bytes.length >= STRIPE) {
    const lanes = [(PRIMES[0] + PRIMES[1]) & MASK, PRIMES[1], 0n, -PRIMES[0] & MASK];
    for (; at + STRIPE <= bytes.length; at += STRIPE) {
      for (let lane = 0; lane < 4; lane++) lanes[lane] = round(lanes[lane], bytes.readBigUInt64LE(at + 8 * lane));
    }
    const turns = [1n, 7n, 12n, 18n];
    hash = lanes.reduce((sum, lane, index) => (sum + rotate(lane, turns[index])) & MASK, 0n);
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * PRIMES[0] + PRIMES[3]) & MASK;
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * PRIMES[0] + PRIMES[3]) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash = (rotate(hash ^ ((BigInt(bytes.readUInt32LE(at)) * PRIMES[0]) & MASK), 23n) * PRIMES[1] + PRIMES[2]) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = (rotate(hash ^ ((BigInt(bytes[at]) * PRIMES[4]) & MASK), 11n) * PRIMES[0]) & MASK;
  hash = ((hash ^ (hash >> 33n)) * PRIMES[1]) & MASK;
  hash = ((hash ^ (hash >> 29n)) * PRIMES[2]) & MASK;
  return hash ^ (hash >> 32n);
}

const SEPARATOR = Buffer.of(0xff);

/** By which Loki orders the entries that streams have at one time. */
export function streamHash(labels: Labels): bigint {
  const parts = labels.flatMap((label) => label.flatMap((text) => [Buffer.from(text), SEPARATOR]));
  return xxh64(Buffer.concat(parts));
}

/** A text that is ordered as the hash is. */
export function streamOrder(labels: Labels): string {
  return streamHash(labels).toString(16).padStart(16, '0');
}
