import { Worker } from 'node:worker_threads';
import { realWorld } from '../../../ops/base/world.ts';
import { Router } from '../../../topology/transport/thread.ts';
import { transportSuite } from '../../support/transport-suite.ts';

const world = realWorld();

transportSuite('worker thread', { copies: true, sharesMemory: true }, async () => {
  const transport = new Router({ world });
  const port = transport.admit('peer');
  const worker = new Worker(new URL('./peer-thread.ts', import.meta.url), { workerData: { port }, transferList: [port] });
  await transport.whenServed('peer/0');
  return {
    transport,
    kill: () => worker.terminate(),
    close: async () => {
      await worker.terminate();
      await transport.close();
    },
  };
});
