import { fork } from 'node:child_process';
import { once } from 'node:events';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { NatsServer, withoutNats } from '../../support/nats.ts';
import { transportSuite } from '../../support/transport-suite.ts';
import { openNatsTransport } from './nats-open.ts';

const PEER = fileURLToPath(new URL('./peer-process.ts', import.meta.url));
const server = withoutNats === false ? await NatsServer.start() : undefined;
after(async () => {
  await server?.[Symbol.asyncDispose]();
});
let clusters = 0;

transportSuite('NATS', { copies: true, sharesMemory: false, skip: withoutNats }, async () => {
  const cluster = `suite ${++clusters}`;
  const peer = fork(PEER, [server!.url, cluster]);
  const [near] = await Promise.all([openNatsTransport(server!.url, cluster), once(peer, 'message')]);
  const kill = async (): Promise<void> => {
    if (peer.exitCode !== null || peer.signalCode !== null) return;
    peer.kill('SIGKILL');
    await once(peer, 'exit');
  };
  return {
    transport: near.transport,
    kill,
    close: async () => {
      await near.close();
      await kill();
    },
  };
});
