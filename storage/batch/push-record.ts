import { align8 } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { type Batch, batchesIn } from './batch.ts';

const MAGIC = 0x3150524d;
const HEADER = 16;

/** What stands before the batches of one push in an ingest log record. Layout: FORMAT.md. */
export function pushRecordHeader(tenant: string): Buffer {
  const name = Buffer.from(tenant);
  const header = Buffer.alloc(HEADER + align8(name.length));
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(name.length, 4);
  name.copy(header, HEADER);
  return header;
}

/** The tenant and the batches of a record; both borrow from `record`. Throws Fault corrupt. */
export function readPushRecord(record: Buffer): { tenant: string; batches: Iterable<Batch> } {
  if (record.length < HEADER || record.readUInt32LE(0) !== MAGIC) throw new Fault('corrupt', 'ingest log record is not a push');
  const length = record.readUInt32LE(4);
  const batchesAt = HEADER + align8(length);
  if (batchesAt > record.length) throw new Fault('corrupt', `ingest log record of ${record.length} bytes names a tenant of ${length}`);
  return { tenant: record.toString('utf8', HEADER, HEADER + length), batches: batchesIn(record.subarray(batchesAt)) };
}
