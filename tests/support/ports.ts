import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections, one of which could be on a server's port when that is started again. */
const PORTS = { from: 10_000, to: 32_000 };

/** Of a local cluster at most, some that join it among them; its NATS server listens before the first. */
export const CLUSTER_PORTS = 24;

/** A TCP port on 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return freePorts(1);
}

/** The first of so many TCP ports on 127.0.0.1, one after the other, that were free a moment ago. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = randomInt(PORTS.from, PORTS.to - count);
    const free = await Promise.all(Array.from({ length: count }, (_, offset) => isFree(first + offset)));
    if (free.every((one) => one)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
