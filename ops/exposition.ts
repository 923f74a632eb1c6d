import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { MetricsSnapshot, Telemetry } from './telemetry.ts';

export interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  readonly branch: string;
}

/** Adds to the main thread's metrics what describes the process as a whole. */
export function describeProcess({ registry }: Telemetry, build: BuildInfo): void {
  collectDefaultMetrics({ register: registry });
  for (const name of ['loki_build_info', 'millrace_build_info']) {
    const labels = { ...build, goversion: `node ${process.versions.node}` };
    const gauge = new Gauge({ name, help: 'Which build this is; always 1.', labelNames: Object.keys(labels), registers: [registry] });
    gauge.set(labels, 1);
  }
}

/** The text for /metrics: equal series of all threads added up. */
export function exposition(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot])).metrics();
}
export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
