import { constants, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions, type ZstdOptions, zstdDecompressSync } from 'node:zlib';
import { KiB, MiB, release } from '../../ops/base/bytes.ts';
import { collectGarbage } from '../../ops/base/collect-garbage.ts';
import { Fault } from '../../ops/base/fault.ts';
import { errno } from '../../ops/base/world.ts';
import { snappyUncompress } from './snappy.ts';

export interface PlainBody {
  readonly form: 'json' | 'protobuf';
  readonly bytes: Buffer;
}

/** Window that a zstd body may ask for: 8 MiB, as RFC 9659 allows on the web. A frame of ten bytes can ask for 2 GiB. */
const ZSTD_WINDOW_LOG = 23;

/** A push request's body without its compression. JSON comes as it is or under a Content-Encoding. Protobuf is a snappy block, and may have a
 *  Content-Encoding around that; under gzip, deflate or zstd the snappy block may be left out, since compressing twice helps nobody.
 *  `deflate` is raw deflate, as in Loki. Nothing is inflated beyond `maxBytes`.
 *  Throws Fault bad_request (not what the headers say), too_large. The result may borrow `body`. */
export function plainBody(body: Buffer, contentType: string, contentEncoding: string, maxBytes: number): PlainBody {
  const inflated = inflate(body, contentEncoding, maxBytes);
  if (isJson(contentType)) {
    return {
      form: 'json',
      bytes: contentEncoding === 'snappy' ? snappyOrPlain(inflated, body, maxBytes) : withinLimit(inflated, maxBytes),
    };
  }
  const wrapped = contentEncoding !== '' && contentEncoding !== 'snappy';
  return { form: 'protobuf', bytes: wrapped ? snappyOrPlain(inflated, body, maxBytes) : snappyUncompress(inflated, maxBytes) };
}

/** An OTLP request's body without its compression. `deflate` may have a zlib header, as HTTP wants it, or be without, as Loki takes it elsewhere.
 *  Throws as plainBody does, and bad_request on a type that is neither OTLP's protobuf nor its JSON. */
export function otlpBody(body: Buffer, contentType: string, contentEncoding: string, maxBytes: number): PlainBody {
  const form = isJson(contentType) ? 'json' : mediaType(contentType) === 'application/x-protobuf' ? 'protobuf' : undefined;
  if (form === undefined) throw new Fault('bad_request', `content type: ${contentType} is not supported`);
  if (contentEncoding === 'snappy') throw unsupported(contentEncoding);
  if (contentEncoding === 'deflate' && hasZlibHeader(body)) {
    return { form, bytes: bounded('deflate', body, maxBytes, (options) => inflateSync(body, options)) };
  }
  return { form, bytes: withinLimit(inflate(body, contentEncoding, maxBytes), maxBytes) };
}

function isJson(contentType: string): boolean {
  return mediaType(contentType) === 'application/json';
}

function mediaType(contentType: string): string {
  return contentType.split(';', 1)[0].trim().toLowerCase();
}

function withinLimit(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length > maxBytes) throw tooLarge(`${bytes.length} bytes`, maxBytes);
  return bytes;
}

/** Clients name snappy without using it, or do not name it: a text that is no snappy block is taken as it is. */
function snappyOrPlain(bytes: Buffer, body: Buffer, maxBytes: number): Buffer {
  try {
    const plain = snappyUncompress(bytes, maxBytes);
    if (bytes !== body) release(bytes);
    return plain;
  } catch (error) {
    if (error instanceof Fault && error.code === 'bad_request') return withinLimit(bytes, maxBytes);
    throw error;
  }
}

function inflate(body: Buffer, contentEncoding: string, maxBytes: number): Buffer {
  switch (contentEncoding) {
    case '':
    case 'snappy':
      return body;
    case 'gzip':
      return bounded('gzip', body, maxBytes, (options) => gunzipSync(body, options));
    case 'deflate':
      return bounded('deflate', body, maxBytes, (options) => inflateRawSync(body, options));
    case 'zstd':
      return bounded('zstd', body, maxBytes, (options) =>
        zstdDecompressSync(body, { ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } }),
      );
    default:
      throw unsupported(contentEncoding);
  }
}

function unsupported(contentEncoding: string): Fault {
  return new Fault('bad_request', `Content-Encoding ${JSON.stringify(contentEncoding)} not supported`);
}

/** No encoder begins raw deflate with a stored block whose padding looks like one. */
function hasZlibHeader(body: Buffer): boolean {
  return body.length >= 2 && (body[0] & 15) === 8 && ((body[0] << 8) | body[1]) % 31 === 0;
}

/** Bytes beyond which what zlib leaves behind is worth collecting at once. */
const LARGE_BYTES = 8 * MiB;

/** Runs a decompressor that stops at `maxBytes` instead of finding out afterwards. */
function bounded(name: string, body: Buffer, maxBytes: number, run: (options: ZlibOptions & ZstdOptions) => Buffer): Buffer {
  let size = 0;
  try {
    // Output is gathered in pieces of this size, and a small body must not pay for a large one. Logs shrink to about a sixth.
    const inflated = run({ maxOutputLength: maxBytes, chunkSize: Math.min(MiB, Math.max(16 * KiB, body.length * 8)) });
    size = inflated.length;
    return inflated;
  } catch (error) {
    if (errno(error) !== 'ERR_BUFFER_TOO_LARGE')
      throw new Fault('bad_request', `${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
    size = maxBytes;
    throw tooLarge(`more than ${maxBytes} bytes`, maxBytes);
  } finally {
    // The pieces are garbage now, as much as the output: without this a few bombs in a row took 700 MB.
    if (size > LARGE_BYTES) collectGarbage();
  }
}

function tooLarge(size: string, maxBytes: number): Fault {
  return new Fault('too_large', `request body too large: ${size} after decompression, limit: ${maxBytes} bytes`);
}
