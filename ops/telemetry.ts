import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
// Its parts: the whole of it loads servers and clients too, 2 MB in each thread.
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';
import type { Instruments, MetricLabels } from './base/instruments.ts';
import type { Logs } from './log.ts';

/** One thread's metrics: plain data, for postMessage. */
export type MetricsSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[];

/** The metrics and loggers of one thread. */
export class Telemetry {
  readonly logs: Logs;
  readonly registry = new Registry();
  readonly #eventLoop = monitorEventLoopDelay({ resolution: 10 });

  /** `thread`: the value of the `thread` label, unique in the process. */
  constructor(thread: string, logs: Logs) {
    this.logs = logs;
    this.#eventLoop.enable();
    this.#watchEventLoop(thread);
  }

  /** Instruments whose logger names `component`; metrics are shared by all components of the thread. */
  instruments(component: string): Instruments {
    const registry = this.registry;
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

  snapshot(): Promise<MetricsSnapshot> {
    return this.registry.getMetricsAsJSON();
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
      registers: [this.registry],
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
