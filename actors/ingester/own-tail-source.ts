import { Fault } from '../../ops/base/fault.ts';
import { readPushRecord } from '../../storage/batch/push-record.ts';
import type { IngestLog, Position } from '../../storage/log/ingest-log.ts';
import type { LogPlace } from '../protocol/ingest.ts';
import type { TailedRecord, TailSource } from './tails.ts';

/** Tails of what is pushed to an ingester: from its own log, and no other. */
export function ownTailSource(own: { readonly log: IngestLog; readonly appliedTo: Position }): TailSource {
  const { log } = own;
  return {
    places: () => [{ log: log.id, position: own.appliedTo }],
    elsewhere: async () => [],
    between: (from, to) => recordsBetween(log, from, from.log === log.id ? to : undefined),
  };
}

async function* recordsBetween(log: IngestLog, from: LogPlace, to: Position | undefined): AsyncGenerator<TailedRecord> {
  const lost = (): Fault => new Fault('not_found', `the ingest log has lost record ${from.position}, where the tail was to go on`);
  if (to === undefined || from.position > to) throw lost();
  let { position } = from;
  if (position === to) return;
  for await (const item of log.read(position)) {
    if (item.kind === 'gap' || item.position !== position) throw lost();
    yield { position, ...readPushRecord(item.bytes) };
    position++;
    if (position === to) return;
  }
  throw lost();
}
