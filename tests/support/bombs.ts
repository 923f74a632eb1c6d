import { constants, createDeflateRaw, createGzip, createZstdCompress } from 'node:zlib';
import { MiB } from '../../ops/base/bytes.ts';

/** Small bodies that inflate to `sizeBytes` of spaces, by Content-Encoding. */
export const bombs: Record<'gzip' | 'deflate' | 'zstd' | 'snappy', (sizeBytes: number) => Promise<Uint8Array<ArrayBuffer>>> = {
  gzip: (size) => inflated(createGzip(), size),
  deflate: (size) => inflated(createDeflateRaw(), size),
  zstd: (size) => inflated(createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } }), size),
  snappy: async (size) => snappyBlock(size),
};

async function inflated(
  compressor: ReturnType<typeof createGzip> | ReturnType<typeof createZstdCompress>,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const piece = Buffer.alloc(MiB, ' ');
  const writing = (async () => {
    for (let written = 0; written < sizeBytes; written += piece.length) {
      await new Promise<void>((resolve, reject) => compressor.write(piece, (error) => (error ? reject(error) : resolve())));
    }
    compressor.end();
  })();
  const chunks = await compressor.toArray();
  await writing;
  return Uint8Array.from(Buffer.concat(chunks));
}

/** A snappy block: its length, one literal byte, then copies of 64 bytes from one byte back. Shrinks 21 times, as well as the format can. */
function snappyBlock(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const copies = Math.ceil((sizeBytes - 1) / 64);
  const block = new Uint8Array(5 + 2 + copies * 3);
  let at = 0;
  let length = copies * 64 + 1;
  for (; length > 127; length = Math.floor(length / 128)) block[at++] = (length % 128) | 128;
  block[at++] = length;
  block[at++] = 0; // a literal of one byte
  block[at++] = 0x20;
  for (let copy = 0; copy < copies; copy++) {
    block[at++] = (63 << 2) | 2; // a copy of 64 bytes, its offset in the two bytes that follow
    block[at++] = 1;
    block[at++] = 0;
  }
  return block.slice(0, at);
}
