import { once } from 'node:events';
import type { MessagePort } from 'node:worker_threads';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { noInstruments } from '../../ops/base/instruments.ts';
import { realWorld } from '../../ops/base/world.ts';
import { connectNats } from '../../topology/nats/connect.ts';
import { NatsTransport } from '../../topology/transport/nats.ts';
import { Router } from '../../topology/transport/thread.ts';
import type { Transport } from '../../topology/transport/transport.ts';
import { NatsServer } from '../support/nats.ts';

interface EchoData {
  readonly server: string;
  readonly port: MessagePort;
}

const world = realWorld();

async function natsTransport(server: string, name: string): Promise<{ transport: NatsTransport; close(): Promise<unknown> }> {
  const [control, bulk] = await Promise.all(
    ['control', 'bulk'].map((use) => connectNats({ servers: [server] }, `${name} ${use}`, noInstruments)),
  );
  const transport = new NatsTransport({ world, cluster: 'hop', control, bulk });
  const close = async (): Promise<unknown> => {
    await transport.close();
    return Promise.all([control.close(), bulk.close()]);
  };
  return { transport, close };
}

/** Milliseconds that each of so many small questions takes, one after the other, to another thread: over a NATS server, and over a port. */
export async function hopTimes(count: number): Promise<{ natsMs: number[]; threadMs: number[] }> {
  await using nats = await NatsServer.start();
  const router = new Router({ world });
  const port = router.admit('echo');
  const worker = new Worker(new URL(import.meta.url), { workerData: { server: nats.url, port } satisfies EchoData, transferList: [port] });
  await once(worker, 'message');
  const { transport, close } = await natsTransport(nats.url, 'asker');
  try {
    return { natsMs: await askedBy(transport, count), threadMs: await askedBy(router, count) };
  } finally {
    await close();
    await router.close();
    await worker.terminate();
  }
}

async function askedBy(transport: Transport, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let asked = 0; asked < count; asked++) {
    const began = performance.now();
    const options = { deadlineMs: world.clock.monotonicMs() + 10_000 };
    await transport.request('echo/0', { kind: 'echo', tenant: 'a', trace: '', body: { text: 'hello' } }, options);
    times.push(performance.now() - began);
  }
  return times;
}

if (!isMainThread) {
  const { server, port } = workerData as EchoData;
  const { transport } = await natsTransport(server, 'echo');
  const router = new Router({ world });
  router.connect('main', port);
  for (const one of [transport, router]) one.serve('echo/0', async ({ body }) => body);
  parentPort?.postMessage('served');
}
