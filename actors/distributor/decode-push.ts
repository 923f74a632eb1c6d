import { MiB, release } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';
import { otlpBody, type PlainBody, plainBody } from '../../storage/batch/body.ts';
import { readPushJson } from '../../storage/batch/from-json.ts';
import { readOtlpJson } from '../../storage/batch/from-otlp-json.ts';
import { readOtlpProto } from '../../storage/batch/from-otlp-proto.ts';
import { readPushProto } from '../../storage/batch/from-proto.ts';
import type { OtlpMapping } from '../../storage/batch/otlp-records.ts';
import type { TenantLimits } from '../limits.ts';
import type { RefusedEntry } from '../protocol/ingest.ts';
import type { Discarded } from './discards.ts';
import { PushCollector } from './push-collector.ts';
import type { StreamBatch } from './replicate.ts';
import type { StreamCache } from './stream-cache.ts';

const MAX_DECOMPRESSED_BYTES = 64 * MiB;

export interface PushRequest {
  readonly tenant: string;
  /** As it came in; borrowed for the call. */
  readonly body: Buffer;
  /** Header values, '' where there is none. */
  readonly contentType: string;
  readonly contentEncoding: string;
  /** Given for a request of OTLP: what becomes of its attributes. Absent for one of Loki's. */
  readonly otlp?: OtlpMapping;
  /** See DistributorAsk. */
  readonly isRows?: boolean;
  /** Wall clock. */
  readonly nowMs: number;
  /** See DistributorAsk. */
  readonly timeMs?: number | undefined;
  /** Size of the body beyond which it is not decompressed; 64 MiB if not said. */
  readonly maxDecompressedBytes?: number;
  /** Whether decoding has taken so long that it is to end; asked now and then. Never, if not said. */
  readonly overdue?: () => boolean;
}

export interface DecodedPush {
  /** One for each stream and UTC hour, each in a buffer of its own, owned by the caller. */
  readonly batches: readonly StreamBatch[];
  /** Accepted entries. */
  readonly lines: number;
  /** Their lines and metadata as the client sent them; what rate limits count. */
  readonly bytes: number;
  readonly discarded: readonly Discarded[];
  /** See PushOutcome. */
  readonly refused: readonly RefusedEntry[];
  /** What the client is told about the part that was refused, which may be all of it; the rest is in `batches`. */
  readonly fault?: Fault;
}

/** From a push request's bytes to batches that are valid by the tenant's limits and carry service_name and detected_level.
 *  An entry whose time is in the accepted range is taken however far it lies behind others of its stream; Loki refuses it (`too_far_behind`).
 *  Throws Fault where nothing of the request can be used: bad_request (not decodable, labels that cannot be read), too_large, no_valid_stream, deadline. */
export function decodePush(request: PushRequest, limits: TenantLimits, streams: StreamCache): DecodedPush {
  const { maxDecompressedBytes = MAX_DECOMPRESSED_BYTES, isRows = false } = request;
  const plain = plainOf(request, maxDecompressedBytes);
  try {
    const collector = new PushCollector(request.tenant, request.nowMs, limits, streams, maxDecompressedBytes, request.overdue, isRows);
    const count = read(plain, collector, request);
    if (count === 0) throw new Fault('no_valid_stream', 'error at least one valid stream is required for ingestion');
    return collector.finish();
  } finally {
    if (plain.bytes !== request.body) release(plain.bytes);
  }
}

function plainOf({ body, contentType, contentEncoding, otlp, isRows }: PushRequest, maxBytes: number): PlainBody {
  if (isRows) return { form: 'protobuf', bytes: body };
  return (otlp === undefined ? plainBody : otlpBody)(body, contentType, contentEncoding, maxBytes);
}

/** Returns the number of streams, or of log records. */
function read({ form, bytes }: PlainBody, collector: PushCollector, { otlp, nowMs, timeMs = nowMs }: PushRequest): number {
  if (otlp === undefined) return form === 'json' ? readPushJson(bytes, collector) : readPushProto(bytes, collector);
  const options = { ...otlp, nowMs: timeMs };
  return form === 'json' ? readOtlpJson(bytes, collector, options) : readOtlpProto(bytes, collector, options);
}
