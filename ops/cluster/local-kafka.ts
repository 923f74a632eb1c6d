import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brokerProperties, kafkaServer } from './kafka-server.ts';

/** Any: the cluster has one broker. */
const CLUSTER_ID = 'bWlsbHJhY2UtbG9jYWwtMQ';

/** Starts a Kafka broker for a local cluster, which keeps what it has in `folder`: clients reach it at `port` of this machine, and it itself at the next. Throws with what could not be done. */
export async function startLocalKafka(folder: string, port: number): Promise<ChildProcess> {
  const server = await kafkaServer();
  const data = join(folder, 'data');
  const file = join(folder, 'broker.properties');
  mkdirSync(folder, { recursive: true });
  const addresses = [port, port + 1].map((own) => `127.0.0.1:${own}`);
  const listeners = ['CLIENTS', 'CONTROLLER'].map((name, index) => ({ name, protocol: 'PLAINTEXT', address: addresses[index] }));
  writeFileSync(file, brokerProperties({ id: 1, voters: [addresses[1]], listeners, data }).join('\n'));
  if (!existsSync(join(data, 'meta.properties'))) await promisify(execFile)('java', server.format(file, CLUSTER_ID));
  return spawn('java', server.broker(file), { stdio: ['ignore', 'pipe', 'pipe'] });
}
