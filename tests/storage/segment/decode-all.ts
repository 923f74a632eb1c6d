import type { BlobStore } from '../../../storage/blob/blob-store.ts';
import { readChunk, readFooter } from '../../../storage/segment/reader.ts';
import { type PlainRow, rowsOf } from '../chunk/rows.ts';

/** A store that holds the one object. */
export function storeOf(object: Buffer): BlobStore {
  return {
    put: () => Promise.reject(new Error('read only')),
    get: (_key, range) => Promise.resolve(range === undefined ? object : object.subarray(range[0], range[1])),
    async *list(prefix) {
      yield { key: prefix, sizeBytes: object.length, createdMs: 0 };
    },
    delete: () => Promise.reject(new Error('read only')),
  };
}

/** Everything that a segment holds, by tenant and labels; the entry point for a fuzzer: throws a Fault or answers, whatever the bytes are. */
export async function decodeAll(object: Buffer): Promise<Record<string, PlainRow[]>> {
  const blobs = storeOf(object);
  const footer = await readFooter(blobs, 'object', object.length);
  footer.filters();
  const all: Record<string, PlainRow[]> = {};
  for (const tenant of footer.tenants()) {
    for (const name of footer.labelNames(tenant)) footer.labelValues(tenant, name);
    for (const { labels, chunks } of footer.select(tenant, [], -(2n ** 70n), 2n ** 70n)) {
      const rows: PlainRow[] = [];
      for (const chunk of chunks) for (const block of await readChunk(blobs, 'object', chunk)) rows.push(...rowsOf(block));
      all[`${tenant} ${labels}`] = rows;
    }
  }
  return all;
}
