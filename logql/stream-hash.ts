import type { Labels } from './model.ts';

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;
const STRIPE = 32;

// With every step cut to 64 bits, V8 computes on machine words.
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, bits: bigint): bigint => u64(u64(value << bits) | (value >> (64n - bits)));
const round = (lane: bigint, input: bigint): bigint => u64(rotate(u64(lane + u64(input * P2)), 31n) * P1);
const merge = (hash: bigint, lane: bigint): bigint => u64(u64((hash ^ round(0n, lane)) * P1) + P4);

/** XXH64 with seed 0. */
function xxh64(bytes: Buffer): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let hash = P5;
  if (bytes.length >= STRIPE) {
    let a = u64(P1 + P2);
    let b = P2;
    let c = 0n;
    let d = u64(-P1);
    for (; at + STRIPE <= bytes.length; at += STRIPE) {
      a = round(a, view.getBigUint64(at, true));
      b = round(b, view.getBigUint64(at + 8, true));
      c = round(c, view.getBigUint64(at + 16, true));
      d = round(d, view.getBigUint64(at + 24, true));
    }
    hash = u64(u64(rotate(a, 1n) + rotate(b, 7n)) + u64(rotate(c, 12n) + rotate(d, 18n)));
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  }
  hash = u64(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) hash = u64(u64(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * P1) + P4);
  if (at + 4 <= bytes.length) {
    hash = u64(u64(rotate(hash ^ u64(BigInt(view.getUint32(at, true)) * P1), 23n) * P2) + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) hash = u64(rotate(hash ^ u64(BigInt(bytes[at]) * P5), 11n) * P1);
  hash = u64((hash ^ (hash >> 33n)) * P2);
  hash = u64((hash ^ (hash >> 29n)) * P3);
  return hash ^ (hash >> 32n);
}

const SEPARATOR = 0xff;

/** By which Loki orders the entries that streams have at one time. */
export function streamHash(labels: Labels): bigint {
  let length = 0;
  for (const [name, value] of labels) length += 3 * (name.length + value.length) + 2;
  const bytes = Buffer.allocUnsafe(length);
  let end = 0;
  for (const label of labels) {
    for (const text of label) {
      end += bytes.write(text, end);
      bytes[end++] = SEPARATOR;
    }
  }
  return xxh64(bytes.subarray(0, end));
}

/** A text that is ordered as the hash is. */
export function streamOrder(labels: Labels): string {
  return streamHash(labels).toString(16).padStart(16, '0');
}
