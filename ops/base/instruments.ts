/** What a component needs to be seen: implemented over a metrics library in ops/telemetry.ts, by nothing in tests. */
export type MetricLabels = Readonly<Record<string, string>>;

export interface Counter {
  add(amount: number, labels?: MetricLabels): void;
}
export interface Gauge {
  set(value: number, labels?: MetricLabels): void;
  /** Takes the series with these labels away, if there is one. */
  remove(labels: MetricLabels): void;
}
export interface Histogram {
  observe(value: number, labels?: MetricLabels): void;
}

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** A metric asked for twice under one name is the same metric. Names are Prometheus names, `loki_` ones where Loki has the metric. */
export interface Instruments {
  readonly log: Logger;
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  gauge(name: string, help: string, labelNames?: readonly string[]): Gauge;
  histogram(name: string, help: string, buckets: readonly number[], labelNames?: readonly string[]): Histogram;
}

const nothing = (): void => {};

/** Records nothing. */
export const noInstruments: Instruments = {
  log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  counter: () => ({ add: nothing }),
  gauge: () => ({ set: nothing, remove: nothing }),
  histogram: () => ({ observe: nothing }),
};
