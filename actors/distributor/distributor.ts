import { MiB, release } from '../../ops/base/bytes.ts';
import { Fault, type WireFault } from '../../ops/base/fault.ts';
import { list, type OptionsOf, section } from '../../ops/base/options.ts';
import type { Ingesters } from '../ingesters.ts';
import { type AskContext, type Asker, defineActor, type Handlers } from '../kernel/define.ts';
import type { SharedLimits, TenantLimits } from '../limits.ts';
import type { DistributorAsk, DistributorReply, PushOutcome } from '../protocol/ingest.ts';
import { type DecodedPush, decodePush, type PushRequest } from './decode-push.ts';
import type { OpenBufferDeps } from './open-buffer.ts';
import { type CopyListener, type Replicated, Replicator } from './replicate.ts';
import { StreamCache } from './stream-cache.ts';

/** A thread that does not turn its event loop for 30 s is taken to hang, and ended. No push that is meant takes a tenth of this. */
const MAX_DECODE_MS = 10_000;

/** Resource attributes of OTLP that make up a stream unless told otherwise; Loki's list. */
const OTLP_INDEX_LABELS = [
  'service.name',
  'service.namespace',
  'service.instance.id',
  'deployment.environment',
  'deployment.environment.name',
  'cloud.region',
  'cloud.availability_zone',
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.container.name',
  'container.name',
  'k8s.replicaset.name',
  'k8s.deployment.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
].join(',');

export const otlpOptions = section('distributor.otlp_config', 'distributor.otlp', {
  defaultResourceAttributesAsIndexLabels: list(OTLP_INDEX_LABELS, 'Resource attributes of OTLP that become labels of streams.', {
    flag: 'distributor.otlp.default_resource_attributes_as_index_labels',
  }),
});

export interface DistributorDeps {
  readonly asker: Asker;
  readonly ingesters: Ingesters;
  /** Where Kafka is in front of ingesters. */
  readonly buffer?: Omit<OpenBufferDeps, 'limits' | 'shared'> | undefined;
  readonly limits: (tenant: string) => TenantLimits;
  readonly shared: SharedLimits;
  readonly otlp: OptionsOf<typeof otlpOptions>;
}

export const distributor = defineActor<DistributorAsk, DistributorReply, DistributorDeps>({
  name: 'distributor',
  // A push holds its body, its decompressed text and its batches at once: few are decoded at a time, the rest wait.
  mailbox: { messages: 1_024, bytes: 64 * MiB, concurrency: 16, whenFull: 'refuse' },
  restart: { strategy: 'one_for_one', max: 5, withinMs: 60_000, backoffMs: { min: 50, max: 1_000 } },
  async start(deps, context) {
    const { world, instruments } = context;
    const streams = new StreamCache();
    // Loaded by who has one only.
    const buffer = deps.buffer && (await import('./open-buffer.ts')).openBuffer({ ...deps, ...deps.buffer }, context);
    const replicator = new Replicator(deps.ingesters, deps.asker, world);
    const otlp = { indexLabels: new Set(deps.otlp.defaultResourceAttributesAsIndexLabels) };
    const lines = instruments.counter('loki_distributor_lines_received_total', 'Lines received.', ['tenant']);
    const bytes = instruments.counter('loki_distributor_bytes_received_total', 'Bytes of lines and metadata received.', ['tenant']);
    const discardedLines = instruments.counter('loki_discarded_samples_total', 'Lines refused.', ['reason', 'tenant']);
    const discardedBytes = instruments.counter('loki_discarded_bytes_total', 'Bytes refused.', ['reason', 'tenant']);
    const appends = instruments.counter('loki_distributor_ingester_appends_total', 'Pushes sent to ingesters.', ['ingester']);
    const failures = instruments.counter('loki_distributor_ingester_append_failures_total', 'Pushes that ingesters did not take.', [
      'ingester',
    ]);
    const copies: CopyListener = {
      sent: (ingester) => appends.add(1, { ingester }),
      failed: (ingester) => failures.add(1, { ingester }),
    };
    const discard = (tenant: string, reason: string, lineCount: number, byteCount: number): void => {
      discardedLines.add(lineCount, { reason, tenant });
      discardedBytes.add(byteCount, { reason, tenant });
    };

    const push = async (ask: DistributorAsk, context: AskContext): Promise<PushOutcome> => {
      const { tenant } = context;
      const limits = deps.limits(tenant);
      const { clock } = world;
      const overdueMs = clock.monotonicMs() + MAX_DECODE_MS;
      const request = {
        tenant,
        body: ask.body as Buffer,
        contentType: ask.contentType,
        contentEncoding: ask.contentEncoding,
        ...(ask.format === 'otlp' && { otlp }),
        isRows: ask.format === 'rows',
        nowMs: clock.nowMs(),
        timeMs: ask.timeMs,
        overdue: () => clock.monotonicMs() > overdueMs,
      };
      const decoded = decodeAndRelease(request, limits, streams);
      lines.add(decoded.lines, { tenant });
      bytes.add(decoded.bytes, { tenant });
      for (const item of decoded.discarded) discard(tenant, item.reason, item.lines, item.bytes);
      if (decoded.batches.length === 0) return { acceptedLines: 0, acceptedBytes: 0, ...refusedParts(decoded, decoded.fault?.toWire()) };
      const rate = deps.shared.takeBytes(
        deps.shared.tenantCell(tenant),
        decoded.bytes,
        monotonicNs(world.clock.monotonicMs()),
        mebibytes(limits.ingestionRateMb),
        mebibytes(limits.ingestionBurstSizeMb),
      );
      if (!rate.ok) {
        discard(tenant, 'rate_limited', decoded.lines, decoded.bytes);
        throw new Fault('rate_limited', rateText(tenant, limits, decoded), { retryAfterS: rate.retryAfterS });
      }
      const replicated = await (buffer?.send(decoded.batches, context) ?? replicator.send(decoded.batches, context, copies));
      return outcome(tenant, decoded, replicated);
    };

    /** Durable parts stay; if any part is in doubt or was refused, the client is told, and its retry of all of it is hidden by deduplication. */
    const outcome = (tenant: string, decoded: DecodedPush, { acceptedLines, acceptedBytes, refusals, faults }: Replicated): PushOutcome => {
      let fault: WireFault | undefined = decoded.fault?.toWire();
      for (const next of faults) fault = worse(fault, next);
      for (const refusal of refusals) {
        discard(tenant, refusal.reason, refusal.lines, refusal.bytes);
        fault = worse(fault, refusal.fault);
      }
      return { acceptedLines, acceptedBytes, ...refusedParts(decoded, fault) };
    };

    const handlers: Handlers<DistributorAsk, DistributorReply> = { push };
    return { handlers, observe: () => ({ knownStreams: streams.size, ...buffer?.observe() }), stop: async () => buffer?.stop() };
  },
});

function decodeAndRelease(request: PushRequest, limits: TenantLimits, streams: StreamCache): DecodedPush {
  try {
    return decodePush(request, limits, streams);
  } finally {
    release(request.body);
  }
}

/** What the client must hear: a retryable fault before a final one, since only then does it send again what is not stored. */
function worse(known: WireFault | undefined, next: WireFault): WireFault {
  return known === undefined || (new Fault(next.code, '').retry && !new Fault(known.code, '').retry) ? next : known;
}

function refusedParts({ refused }: DecodedPush, fault: WireFault | undefined): Pick<PushOutcome, 'fault' | 'refused'> {
  return { ...(fault && { fault }), ...(refused.length > 0 && { refused }) };
}

const mebibytes = (count: number): number => count * MiB;
const monotonicNs = (ms: number): bigint => BigInt(Math.round(ms * 1e6));

function rateText(tenant: string, limits: TenantLimits, { lines, bytes }: DecodedPush): string {
  return `ingestion rate limit exceeded for user ${tenant} (limit: ${Math.round(mebibytes(limits.ingestionRateMb))} bytes/sec) while attempting to ingest '${lines}' lines totaling '${bytes}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased`;
}
