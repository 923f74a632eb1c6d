import { createRequire } from 'node:module';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type * as Binding from 'zstd-napi/binding.js';

/** Zstandard frames in one call each, on the calling thread. */
export interface Zstd {
  readonly library: 'zstd-napi' | 'node:zlib';
  /** One frame; borrowed until the next call. */
  compress(bytes: Uint8Array, level: number): Buffer;
  /** What a frame of exactly `size` bytes holds, in `into` if that is given, which has that size, and in a buffer of its own otherwise. Throws any Error on damage
   *  or another size. */
  decompress(frame: Uint8Array, size: number, into?: Buffer): Buffer;
}

/** Node's own: slower (a stream per call), but there wherever Node is. */
export const zlibZstd: Zstd = {
  library: 'node:zlib',
  compress: (bytes, level) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } }),
  decompress(frame, size, into) {
    // One output chunk of the right size saves joining many; zlib wants at least 64 bytes and room to see the end.
    const out = zstdDecompressSync(frame, { chunkSize: Math.max(64, size + 1), maxOutputLength: Math.max(64, size + 1) });
    if (out.length !== size) throw new Error(`frame holds ${out.length} bytes instead of ${size}`);
    if (into === undefined) return out;
    out.copy(into);
    return into;
  },
};

/** The native library with contexts that are kept; undefined where it was neither fetched nor built. */
export function nativeZstd(): Zstd | undefined {
  let binding: typeof Binding;
  try {
    binding = createRequire(import.meta.url)('zstd-napi/binding.js');
  } catch {
    return undefined;
  }
  const compressor = new binding.CCtx();
  const decompressor = new binding.DCtx();
  let scratch = Buffer.allocUnsafeSlow(256 * 1024);
  return {
    library: 'zstd-napi',
    compress(bytes, level) {
      const bound = binding.compressBound(bytes.length);
      if (bound > scratch.length) scratch = Buffer.allocUnsafeSlow(bound);
      return scratch.subarray(0, compressor.compress(scratch, bytes, level));
    },
    decompress(frame, size, into) {
      const out = into ?? Buffer.allocUnsafeSlow(size);
      const found = decompressor.decompress(out, frame);
      if (found !== size) throw new Error(`frame holds ${found} bytes instead of ${size}`);
      return out;
    },
  };
}

export const zstd: Zstd = nativeZstd() ?? zlibZstd;

/** What frames of others hold, which need not say how much that is. Throws an Error on damage, and beyond `maxBytes`. */
export function unzstd(frames: Buffer, maxBytes: number): Buffer {
  return zstdDecompressSync(frames, { maxOutputLength: maxBytes });
}
