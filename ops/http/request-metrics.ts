import type { Instruments } from '../base/instruments.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100];

/** Counts and times requests. The names are Loki's: its dashboards and alerts are built on them. */
export class RequestMetrics {
  readonly #duration;
  readonly #inflight;
  readonly #running = new Map<string, number>();

  constructor(instruments: Instruments) {
    this.#duration = instruments.histogram('loki_request_duration_seconds', 'Time spent serving HTTP requests.', SECONDS, [
      'method',
      'route',
      'status_code',
      'ws',
    ]);
    this.#inflight = instruments.gauge('loki_inflight_requests', 'Requests being served.', ['method', 'route']);
  }

  begin(method: string, route: string): void {
    this.#change(method, route, 1);
  }

  end(method: string, route: string, status: number, seconds: number, websocket = false): void {
    this.#change(method, route, -1);
    this.#duration.observe(seconds, { method, route, status_code: String(status), ws: String(websocket) });
  }

  #change(method: string, route: string, by: number): void {
    const key = `${method} ${route}`;
    const running = (this.#running.get(key) ?? 0) + by;
    this.#running.set(key, running);
    this.#inflight.set(running, { method, route });
  }
}
