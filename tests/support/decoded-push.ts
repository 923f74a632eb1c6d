import assert from 'node:assert/strict';
import { compressSync } from 'snappy';
import { type DecodedPush, decodePush } from '../../actors/distributor/decode-push.ts';
import { otlpOptions } from '../../actors/distributor/distributor.ts';
import { StreamCache } from '../../actors/distributor/stream-cache.ts';
import { limitsOptions, type TenantLimits } from '../../actors/limits.ts';
import { Fault } from '../../ops/base/fault.ts';
import { defaultsOf } from '../../ops/base/options.ts';
import { Batch } from '../../storage/batch/batch.ts';
import { type PlainResource, protoRequest } from './otlp.ts';
import { type ProtoStream, pushRequest } from './push-proto.ts';

const DEFAULTS = defaultsOf(limitsOptions);
const OTLP = { indexLabels: new Set(defaultsOf(otlpOptions).defaultResourceAttributesAsIndexLabels) };
/** The time at which pushes are decoded. */
export const NOW = Date.parse('2026-01-15T10:30:00Z');
/** The same in nanoseconds. */
export const BASE_NS = BigInt(NOW) * 1_000_000n;
export const HOUR_NS = 3_600_000_000_000n;

export interface DecodeOptions {
  limits?: Partial<TenantLimits>;
  encoding?: string;
  maxBytes?: number;
  cache?: StreamCache;
  tenant?: string;
  /** Whether it is an OTLP request. */
  otlp?: boolean;
}

export function decode(body: Buffer, type: string, options: DecodeOptions): DecodedPush {
  const { limits, encoding = '', maxBytes, cache = new StreamCache(), tenant = 'fake', otlp = false } = options;
  const request = { tenant, body, contentType: type, contentEncoding: encoding, nowMs: NOW, ...(otlp ? { otlp: OTLP } : {}) };
  return decodePush(
    maxBytes === undefined ? request : { ...request, maxDecompressedBytes: maxBytes },
    limits === undefined ? DEFAULTS : { ...DEFAULTS, ...limits },
    cache,
  );
}

export const proto = (streams: readonly ProtoStream[], options: DecodeOptions = {}): DecodedPush =>
  decode(compressSync(pushRequest(streams)), 'application/x-protobuf', options);

export const json = (body: unknown, options: DecodeOptions = {}): DecodedPush =>
  decode(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), 'application/json', options);

export const otlp = (resources: readonly PlainResource[], options: DecodeOptions = {}): DecodedPush =>
  decode(protoRequest(resources), 'application/x-protobuf', { ...options, otlp: true });

export type Shown = [labels: string, ns: bigint, line: string, metadata: Record<string, string>];

/** What is in the batches, entry by entry. */
export function entries({ batches }: DecodedPush): Shown[] {
  return batches.flatMap(({ hash, bytes }) => {
    const batch = new Batch(bytes);
    assert.equal(batch.hash, hash);
    assert.ok(batch.minOffset >= 0 && batch.maxOffset < Number(HOUR_NS));
    const [times, ends, lines, columns] = [batch.times(), batch.ends(), batch.lines(), batch.metadata()];
    return Array.from({ length: batch.rows }, (_, row): Shown => {
      const present = columns.filter(({ index }) => index[row] > 0);
      const metadata = Object.fromEntries(present.map(({ key, values, index }) => [key, values[index[row] - 1]]));
      const line = lines.toString('utf8', row === 0 ? 0 : ends[row - 1], ends[row]);
      return [batch.labels(), BigInt(batch.hour) * HOUR_NS + BigInt(times[row]), line, metadata];
    });
  });
}

/** A stream of one entry. */
export const one = (labels: string, line: string, ns = BASE_NS, metadata: [string, string][] = []): ProtoStream => ({
  labels,
  entries: [{ ns, line, metadata }],
});

/** Whether an error is a Fault with this status and such a text. */
export const refusedWith =
  (status: number, text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof Fault && error.status === status && text.test(error.message);
