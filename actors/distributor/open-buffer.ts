import type { ConnectKafka } from '../../storage/kafka/client.ts';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import { KafkaLog } from '../../storage/log/kafka.ts';
import { ActiveStreams } from '../active-streams.ts';
import { every } from '../every.ts';
import type { AskContext, StartContext } from '../kernel/define.ts';
import type { SharedLimits, TenantLimits } from '../limits.ts';
import { IngestBuffer } from './buffer.ts';
import type { Replicated, StreamBatch } from './replicate.ts';

export interface OpenBuffer {
  send(batches: readonly StreamBatch[], context: AskContext): Promise<Replicated>;
  observe(): { partitions: number; brokenPartitions: number; waitsFor: string };
  /** Resolves once nothing is under way any more. */
  stop(): Promise<void>;
}

export interface OpenBufferDeps {
  readonly kafka: KafkaOptions;
  readonly limits: (tenant: string) => TenantLimits;
  readonly shared: SharedLimits;
  /** See ActiveStreams. */
  readonly countedStreams: Int32Array;
  readonly streamIdlePeriod: number;
  readonly connect?: ConnectKafka | undefined;
}

const SWEEP_MS = 1_000;

/** Connects in the background, for as long as the incarnation lasts. */
export function openBuffer(deps: OpenBufferDeps, { world, instruments, incarnation }: StartContext): OpenBuffer {
  const { kafka, limits, shared, countedStreams: counted, streamIdlePeriod: idleMs, connect } = deps;
  const log = new KafkaLog({ options: kafka, world, instruments, connect });
  const streams = new ActiveStreams({ shared, counted, limits, world, idleMs });
  const buffer = new IngestBuffer({
    writers: () => log.writers,
    waitsFor: () => log.waitsFor,
    streams,
    maxRecordBytes: kafka.producerMaxRecordSizeBytes,
  });
  const running = log.run(incarnation.signal).catch((error) => {
    if (!incarnation.signal.aborted) incarnation.fail(error);
  });
  const stopSweeping = every(world.timers, SWEEP_MS, () => streams.sweep());
  return {
    send: (batches, context) => buffer.send(batches, context),
    observe: () => ({ partitions: log.writers.length, brokenPartitions: log.broken, waitsFor: log.waitsFor }),
    async stop() {
      stopSweeping();
      await running;
      streams.clear();
    },
  };
}
