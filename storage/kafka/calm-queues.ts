import { createRequire } from 'node:module';

/** What of the client's class is used here; see kafkajs 2.2, src/network/requestQueue. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  scheduleCheckPendingRequests(): void;
}

let areCalm = false;

/** The client's queue of each connection looks every millisecond whether something waits in it, from its first answer to the end of the process, though mostly nothing can: what waits is looked at when an
 *  answer comes. Only one that has something waiting, for a broker said to slow down, has to look by itself. */
export function calmQueues(): void {
  if (areCalm) return;
  areCalm = true;
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
  const look = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length > 0) look.call(this);
  };
}
