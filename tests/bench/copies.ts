import { randomBytes } from 'node:crypto';
import { compress } from 'snappy';
import { openBody } from './bodies.ts';

/** Maps ids to others of the same length, one to one. */
export class Masks {
  readonly #digits: Uint8Array;

  private constructor(digits: Uint8Array) {
    this.#digits = digits;
  }

  static random(): Masks {
    return new Masks(randomBytes(32).map((byte) => byte & 15));
  }

  /** Changes lower-case hexadecimal digits where they are. */
  apply(id: Buffer): Buffer {
    for (let at = 0; at < id.length; at++) {
      const code = id[at];
      const digit = (code > 57 ? code - 87 : code - 48) ^ this.#digits[at & 31];
      id[at] = digit > 9 ? digit + 87 : digit + 48;
    }
    return id;
  }
}

const IDS = ['"traceId":"', '"spanId":"', ' traceID='].map((text) => Buffer.from(text));
const ID_SIZES = [32, 16, 16];

/** A push request whose ids and times are known by where they are. */
export interface OpenBody {
  readonly request: Buffer;
  /** Where the seconds of timestamps are, and which they are; both for each entry. */
  readonly secondsAt: Uint32Array;
  readonly seconds: Uint32Array;
  readonly ids: Uint32Array;
  readonly idSizes: Uint8Array;
}

/** Makes copies of push bodies with other ids, at another time. */
export class Copier {
  readonly #bodies: readonly OpenBody[];

  constructor(bodies: readonly Buffer[]) {
    this.#bodies = bodies.map(opened);
  }

  /** `laterS`: by how much, seconds. */
  async *copy(masks: Masks, laterS: number): AsyncGenerator<Buffer> {
    let ahead: Promise<Buffer> | undefined;
    for (const body of this.#bodies) {
      const next = compress(changed(body, masks, laterS)); // on another thread
      if (ahead !== undefined) yield await ahead;
      ahead = next;
    }
    if (ahead !== undefined) yield await ahead;
  }
}

export function opened(body: Buffer): OpenBody {
  const { request, entries } = openBody(body);
  const ids: number[] = [];
  const idSizes: number[] = [];
  for (const { lineAt, lineEnd } of entries) {
    const line = request.subarray(lineAt, lineEnd);
    for (const [kind, name] of IDS.entries()) {
      const at = line.indexOf(name);
      if (at < 0) continue;
      ids.push(lineAt + at + name.length);
      idSizes.push(ID_SIZES[kind]);
    }
  }
  return {
    request,
    secondsAt: Uint32Array.from(entries, ({ secondsAt }) => secondsAt),
    seconds: Uint32Array.from(entries, ({ secondsAt }) => readSeconds(request, secondsAt)),
    ids: Uint32Array.from(ids),
    idSizes: Uint8Array.from(idSizes),
  };
}

/** A copy with other ids, later by so many seconds. */
export function changed({ request, secondsAt, seconds, ids, idSizes }: OpenBody, masks: Masks, laterS: number): Buffer {
  const copy = Buffer.from(request);
  for (let index = 0; index < ids.length; index++) masks.apply(copy.subarray(ids[index], ids[index] + idSizes[index]));
  for (let index = 0; index < secondsAt.length; index++) writeSeconds(copy, secondsAt[index], seconds[index] + laterS);
  return copy;
}

/** Seconds of these years are varints of five bytes. */
const SECONDS_BYTES = 5;

function readSeconds(bytes: Buffer, at: number): number {
  let value = 0;
  for (let index = SECONDS_BYTES - 1; index >= 0; index--) value = value * 128 + (bytes[at + index] & 127);
  return value;
}

function writeSeconds(bytes: Buffer, at: number, seconds: number): void {
  let rest = seconds;
  for (let index = 0; index < SECONDS_BYTES; index++) {
    bytes[at + index] = (rest & 127) | (index < SECONDS_BYTES - 1 ? 128 : 0);
    rest = Math.floor(rest / 128);
  }
}
