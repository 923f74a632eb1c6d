import { once } from 'node:events';
import WebSocket from 'ws';

type Value = [timeNs: string, line: string, ...rest: unknown[]];

/** A client of `/loki/api/v1/tail`, with all that it was sent. */
export class TailClient {
  readonly values: Value[] = [];
  readonly dropped: { timestamp: string; labels: Record<string, string> }[] = [];
  readonly closed: Promise<[code: number, reason: string]>;
  readonly socket: WebSocket;
  #heard = (): void => {};

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)]);
    socket.on('message', (data) => {
      const { streams, dropped_entries = [] } = JSON.parse(String(data));
      for (const { values } of streams) this.values.push(...values);
      this.dropped.push(...dropped_entries);
      this.#heard();
    });
  }

  static async open(url: string, query: string, params: Record<string, string> = {}): Promise<TailClient> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/loki/api/v1/tail?${new URLSearchParams({ query, ...params })}`);
    const tail = new TailClient(socket);
    await once(socket, 'open');
    return tail;
  }

  /** Resolves once `condition` holds, which is looked at after each message. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        this.#heard = resolve;
        this.closed.then((closed) => reject(new Error(`closed ${closed}, ${this.values.length} entries came`)), reject);
      });
    }
  }

  get lines(): string[] {
    return this.values.map(([, line]) => line);
  }
}
