import { pipeline, Readable } from 'node:stream';
import { constants, createGzip, gzipSync } from 'node:zlib';
import { KiB, lengthOf } from '../base/bytes.ts';

/** Below this, compressing costs more than it saves. */
const GZIP_FROM = 1 * KiB;
/** Up to this a body is sent in one piece: compressing it at once takes less than the way to zlib's threads and back. */
const STREAM_FROM = 16 * KiB;

export interface EncodedBody {
  readonly payload: Buffer | Readable;
  readonly headers: Readonly<Record<string, string>>;
}

/** The body as it is sent: small ones in one piece, others as a stream that waits for its reader, compressed (on zlib's threads) if the client takes gzip. */
export function encodeBody(body: string | readonly Uint8Array[], acceptEncoding: string): EncodedBody {
  const chunks = typeof body === 'string' ? [Buffer.from(body)] : body;
  const sizeBytes = lengthOf(chunks);
  if (sizeBytes <= GZIP_FROM) return { payload: Buffer.concat(chunks), headers: { 'content-length': String(sizeBytes) } };
  const whole = sizeBytes <= STREAM_FROM ? Buffer.concat(chunks) : undefined;
  if (!acceptsGzip(acceptEncoding)) {
    const payload = whole ?? Readable.from(chunks, { objectMode: false });
    return { payload, headers: { 'content-length': String(sizeBytes), vary: 'Accept-Encoding' } };
  }
  if (whole !== undefined) {
    const payload = gzipSync(whole, { level: constants.Z_BEST_SPEED });
    return { payload, headers: { 'content-encoding': 'gzip', 'content-length': String(payload.length), vary: 'Accept-Encoding' } };
  }
  const source = Readable.from(chunks, { objectMode: false });
  const gzip = createGzip({ level: constants.Z_BEST_SPEED });
  pipeline(source, gzip, () => {}); // a failure destroys both ends, and the reply with them
  return { payload: gzip, headers: { 'content-encoding': 'gzip', vary: 'Accept-Encoding' } };
}

/** Whether an Accept-Encoding header allows gzip; `gzip;q=0` and `identity` do not, `*` does. */
export function acceptsGzip(acceptEncoding: string): boolean {
  let any = false;
  for (const item of acceptEncoding.toLowerCase().split(',')) {
    const [coding, ...parameters] = item.split(';').map((part) => part.trim());
    const refused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
    if (coding === 'gzip' || coding === 'x-gzip') return !refused;
    if (coding === '*') any = !refused;
  }
  return any;
}
