import { KiB } from '../../ops/base/bytes.ts';
import { isTooLarge } from '../../storage/kafka/failures.ts';
import type { DeadLetter } from './delivery.ts';

/** A dead letter as a record of their topic. */
export interface Letter {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Milliseconds since 1970. */
  readonly timestamp: string;
  readonly headers: Record<string, Buffer | string>;
}

/** Letters of one request, unless it is of a single one. They may all be of one partition, and brokers take about a megabyte at once for each unless told otherwise. */
const REQUEST_BYTES = 256 * KiB;
/** A letter that is refused as too large is cut to so much at first, and to half of that each time that it is refused again; once it has less than the least, it cannot be helped. */
const [LEAST_CUT_BYTES, FIRST_CUT_BYTES] = [KiB, 512 * KiB];

/** Resolves once `send` has taken all of them, some of them perhaps twice: it is given a few at a time, fewer where it says that they are too large, and less of one that is too large by itself. Rejects with what
 *  `send` does otherwise. */
export async function sendLetters(dead: readonly DeadLetter[], send: (letters: Letter[]) => Promise<unknown>): Promise<void> {
  for (const piece of pieces(dead)) await sendPiece(piece, send);
}

function* pieces(dead: readonly DeadLetter[]): Iterable<DeadLetter[]> {
  let [piece, bytes]: [DeadLetter[], number] = [[], 0];
  for (const one of dead) {
    const size = sizeOf(letterOf(one));
    if (piece.length > 0 && bytes + size > REQUEST_BYTES) {
      yield piece;
      [piece, bytes] = [[], 0];
    }
    piece.push(one);
    bytes += size;
  }
  if (piece.length > 0) yield piece;
}

async function sendPiece(piece: readonly DeadLetter[], send: (letters: Letter[]) => Promise<unknown>): Promise<void> {
  try {
    await send(piece.map(letterOf));
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    if (piece.length === 1) return sendCut(piece[0], send);
    const half = piece.length >> 1;
    await sendPiece(piece.slice(0, half), send);
    await sendPiece(piece.slice(half), send);
  }
}

async function sendCut(dead: DeadLetter, send: (letters: Letter[]) => Promise<unknown>): Promise<void> {
  for (let most = Math.min(FIRST_CUT_BYTES, sizeOf(letterOf(dead)) >> 1); ; most >>= 1) {
    try {
      await send([cut(dead, most)]);
      return;
    } catch (error) {
      if (!isTooLarge(error) || most < LEAST_CUT_BYTES) throw error;
    }
  }
}

function letterOf({ record, why }: DeadLetter): Letter {
  return {
    key: record.key,
    value: record.value,
    timestamp: String(Math.max(0, record.timestampMs)),
    headers: {
      ...Object.fromEntries(record.headers),
      'millrace-reason': why,
      'millrace-topic': record.topic,
      'millrace-partition': String(record.partition),
      'millrace-offset': String(record.offset),
    },
  };
}

/** The letter in about `mostBytes`: without the end of its value, and without key and headers of its own if it is these that are large. */
function cut({ record, why }: DeadLetter, mostBytes: number): Letter {
  const { value } = record;
  let letter = letterOf({ record: { ...record, value: null }, why });
  if (sizeOf(letter) > mostBytes / 2) letter = letterOf({ record: { ...record, key: null, value: null, headers: new Map() }, why });
  return {
    ...letter,
    value: value === null ? null : value.subarray(0, Math.max(0, mostBytes - sizeOf(letter))),
    headers: { ...letter.headers, 'millrace-truncated': String(value?.length ?? 0) },
  };
}

function sizeOf({ key, value, headers }: Letter): number {
  let bytes = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, content] of Object.entries(headers)) bytes += Buffer.byteLength(name) + Buffer.byteLength(content);
  return bytes;
}
