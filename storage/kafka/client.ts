import { readFileSync } from 'node:fs';
import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs';
import type { Logger } from '../../ops/base/instruments.ts';
import { calmQueues } from './calm-queues.ts';
import { registerCodecs } from './codecs.ts';
import type { KafkaOptions } from './options.ts';

/** How clients of a Kafka cluster are made. */
export type ConnectKafka = typeof kafkaClient;

/** A client of the Kafka cluster; connects when it is first used. `retries`: how often it tries once more by itself. Throws an Error if a file cannot be read. */
export function kafkaClient(options: KafkaOptions, log: Logger, retries?: number): Kafka {
  registerCodecs();
  calmQueues();
  const { brokers, clientName, dialTimeout, requestTimeout } = options;
  let turn = 0;
  return new kafkajs.Kafka({
    // Whatever begins anew would ask the first one first, one that does not answer too. Who fails to connect to one asks for another one, and may begin anew before it tries that.
    brokers: () => [brokers[Math.floor(turn++ / 2) % brokers.length]],
    clientId: clientName,
    connectionTimeout: dialTimeout,
    authenticationTimeout: requestTimeout,
    requestTimeout,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => told(entry, log),
    ...(retries !== undefined && { retry: { retries } }),
    ...securityOf(options),
  });
}

/** The client calls each refused request and each lost connection an error, though it goes on by itself: whoever uses it says what matters. */
function told({ namespace, log: { message, timestamp: _, logger: __, ...fields } }: kafkajs.LogEntry, log: Logger): void {
  log.debug(`Kafka client: ${message}`, { part: namespace, ...fields });
}

function securityOf(options: KafkaOptions): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const { saslMechanism: mechanism, saslUsername: username, saslPassword: password } = options;
  const { tlsEnabled, tlsCaPath, tlsCertPath, tlsKeyPath } = options;
  return {
    ...(tlsEnabled && {
      ssl: {
        ...(tlsCaPath && { ca: readFileSync(tlsCaPath) }),
        ...(tlsCertPath && { cert: readFileSync(tlsCertPath) }),
        ...(tlsKeyPath && { key: readFileSync(tlsKeyPath) }),
      },
    }),
    ...(username && { sasl: { mechanism, username, password } as NonNullable<KafkaConfig['sasl']> }),
  };
}
