import { monitorEventLoopDelay } from 'node:perf_hooks';
import {
  AggregatorRegistry,
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import type { Instruments, MetricLabels } from './base/instruments.ts';
import type { Logs } from './log.ts';

/** One thread's metrics: plain data, for postMessage. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

export interface BuildInfo {
  readonly version: string;
  readonly revision: string;
  readonly branch: string;
}

/** The metrics and loggers of one thread. */
export class Telemetry {
  readonly logs: Logs;
  readonly #registry = new Registry();
  readonly #eventLoop = monitorEventLoopDelay({ resolution: 10 });

  /** `thread`: the value of the `thread` label, unique in the process. */
  constructor(thread: string, logs: Logs) {
    this.logs = logs;
    this.#eventLoop.enable();
    this.#watchEventLoop(thread);
  }

  /** Instruments whose logger names `component`; metrics are shared by all components of the thread. */
  instruments(component: string): Instruments {
    const registry = this.#registry;
    const once = <M>(name: string, make: () => M): M => (registry.getSingleMetric(name) as M | undefined) ?? make();
    const shared = (labelNames: readonly string[]) => ({ registers: [registry], labelNames: [...labelNames] });
    return {
      log: this.logs.of(component),
      counter(name, help, labelNames = []) {
        const metric = once(name, () => new Counter({ name, help, ...shared(labelNames) }));
        return { add: (amount, labels?: MetricLabels) => (labels === undefined ? metric.inc(amount) : metric.inc(labels, amount)) };
      },
      gauge(name, help, labelNames = []) {
        const metric = once(name, () => new Gauge({ name, help, ...shared(labelNames) }));
        return {
          set: (value, labels?: MetricLabels) => (labels === undefined ? metric.set(value) : metric.set(labels, value)),
          remove: (labels) => metric.remove(labels),
        };
      },
      histogram(name, help, buckets, labelNames = []) {
        const metric = once(name, () => new Histogram({ name, help, buckets: [...buckets], ...shared(labelNames) }));
        return {
          observe: (value, labels?: MetricLabels) => (labels === undefined ? metric.observe(value) : metric.observe(labels, value)),
        };
      },
    };
  }

  /** Adds what describes the process as a whole; for the main thread only, or it is counted once a thread. */
  describeProcess(build: BuildInfo): void {
    collectDefaultMetrics({ register: this.#registry });
    for (const name of ['loki_build_info', 'millrace_build_info']) {
      const labels = { ...build, goversion: `node ${process.versions.node}` };
      const gauge = new Gauge({
        name,
        help: 'Which build this is; always 1.',
        labelNames: Object.keys(labels),
        registers: [this.#registry],
      });
      gauge.set(labels, 1);
    }
  }

  snapshot(): Promise<MetricsSnapshot> {
    return this.#registry.getMetricsAsJSON();
  }

  /** Stops measuring the event loop. */
  close(): void {
    this.#eventLoop.disable();
  }

  #watchEventLoop(thread: string): void {
    const measured = this.#eventLoop;
    new Gauge({
      name: 'millrace_event_loop_delay_seconds',
      help: 'How late the event loop of a thread was since the last scrape.',
      labelNames: ['thread', 'quantile'],
      registers: [this.#registry],
      collect() {
        const seconds = (ns: number): number => (measured.count === 0 ? 0 : ns / 1e9);
        this.set({ thread, quantile: '0.5' }, seconds(measured.percentile(50)));
        this.set({ thread, quantile: '0.99' }, seconds(measured.percentile(99)));
        this.set({ thread, quantile: '1' }, seconds(measured.max));
        measured.reset();
      },
    });
  }
}

/** What stays of a thread that ended: its counts. Without them the sums would fall, which Prometheus takes for a restart of the process. */
export function countsOf(snapshot: MetricsSnapshot): MetricsSnapshot {
  // prom-client gives the type as a word, though its declaration says it is a number.
  return snapshot.filter(({ type }) => String(type) !== 'gauge');
}

/** The text for /metrics: equal series of all threads added up. */
export function exposition(snapshots: readonly MetricsSnapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot])).metrics();
}
export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
