import kafkajs from 'kafkajs';
import { MiB } from '../../ops/base/bytes.ts';
import { snappyUncompress } from '../batch/snappy.ts';
import { unzstd, zstd } from '../chunk/zstd.ts';

/** What a producer may have compressed; a batch that holds more is taken for an attack. */
const MAX_BATCH_BYTES = 256 * MiB;
const ZSTD_LEVEL = 3;
/** Java's clients wrap snappy blocks like this: magic bytes, two versions, then blocks with their lengths. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER = 16;

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(bytes: Buffer): Promise<Buffer>;
}

/** Tells the client of Kafka of what it cannot do by itself: zstd both ways; snappy and LZ4, which producers of others use, to be read. */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs;
  const codec = (one: Codec) => () => one;
  CompressionCodecs[CompressionTypes.ZSTD] = codec({
    compress: async ({ buffer }) => Buffer.from(zstd.compress(buffer, ZSTD_LEVEL)),
    decompress: async (bytes) => unzstd(bytes, MAX_BATCH_BYTES),
  });
  CompressionCodecs[CompressionTypes.Snappy] = codec({ compress: refused('snappy'), decompress: async (bytes) => unsnappy(bytes) });
  CompressionCodecs[CompressionTypes.LZ4] = codec({ compress: refused('LZ4'), decompress: unlz4 });
}

function refused(what: string): () => Promise<Buffer> {
  return async () => {
    throw new Error(`nothing is compressed with ${what} here`);
  };
}

/** A block, or blocks as Java's clients frame them. Throws Fault bad_request, too_large. */
export function unsnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return snappyUncompress(bytes, MAX_BATCH_BYTES);
  const blocks: Buffer[] = [];
  let left = MAX_BATCH_BYTES;
  for (let at = XERIAL_HEADER; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) throw new RangeError('snappy: a block ends behind its frame');
    const block = snappyUncompress(bytes.subarray(at + 4, end), left);
    left -= block.length;
    blocks.push(block);
    at = end;
  }
  return Buffer.concat(blocks);
}

/** Loaded by the first batch that needs it: few producers use it. */
async function unlz4(bytes: Buffer): Promise<Buffer> {
  const { decompressFrameSync } = await import('lz4-napi');
  return decompressFrameSync(bytes);
}
