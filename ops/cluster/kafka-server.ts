import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE, madeOnce } from './made-once.ts';

const run = promisify(execFile);
const VERSION = '4.3.1';
const FETCH_LIMIT_MS = 600_000;
const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>${VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>${VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
`;

/** Memory of a broker, and a start that is quick before it is fast. */
const JAVA_FLAGS = ['-Xmx512m', '-Xms128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** How a broker is started with Java. */
export interface KafkaServer {
  /** Of `java`, with the broker's configuration in `file`. */
  broker(file: string): string[];
  /** Of `java`: one of the tools that come with brokers, by the name of its class. */
  tool(name: string, args: readonly string[]): string[];
  /** Of `java`: makes the folders that `file` names ready for a broker of the cluster. */
  format(file: string, clusterId: string): string[];
}

/** One broker of a cluster, each of which votes for its controllers. */
export interface BrokerPlace {
  /** From 1. */
  readonly id: number;
  /** Of all brokers, where the controllers hear each other. */
  readonly voters: readonly string[];
  /** Where it is reached, and under which name and by which protocol; the first is for clients and for other brokers, one is called CONTROLLER. */
  readonly listeners: readonly { readonly name: string; readonly protocol: string; readonly address: string }[];
  readonly data: string;
}

/** The lines of its configuration. */
export function brokerProperties({ id, voters, listeners, data }: BrokerPlace): string[] {
  const at = ({ name, address }: BrokerPlace['listeners'][number]): string => `${name}://${address}`;
  const copies = Math.min(3, voters.length);
  const inSync = Math.min(2, voters.length);
  return [
    'process.roles=broker,controller',
    `node.id=${id}`,
    `controller.quorum.voters=${voters.map((address, other) => `${other + 1}@${address}`)}`,
    `listeners=${listeners.map(at)}`,
    `advertised.listeners=${listeners.filter(({ name }) => name !== 'CONTROLLER').map(at)}`,
    'controller.listener.names=CONTROLLER',
    `inter.broker.listener.name=${listeners[0].name}`,
    `listener.security.protocol.map=${listeners.map(({ name, protocol }) => `${name}:${protocol}`)}`,
    `log.dirs=${data}`,
    `offsets.topic.replication.factor=${copies}`,
    'offsets.topic.num.partitions=4',
    `transaction.state.log.replication.factor=${copies}`,
    `transaction.state.log.min.isr=${inSync}`,
    `default.replication.factor=${copies}`,
    `min.insync.replicas=${inSync}`,
    'group.initial.rebalance.delay.ms=0',
  ];
}

/** A Kafka broker's programs, which Maven fetches once into .cache. Throws with what could not be done. */
export async function kafkaServer(): Promise<KafkaServer> {
  const jars = join(CACHE, `kafka-${VERSION}`);
  await madeOnce(jars, FETCH_LIMIT_MS, fetchJars);
  await run('java', ['-version']).catch((error: Error) => {
    throw new Error(`a Kafka broker needs Java: ${error.message.split('\n')[0]}`);
  });
  const classPath = ['-cp', join(jars, '*')];
  const tool = (name: string, args: readonly string[]): string[] => ['-XX:TieredStopAtLevel=1', ...classPath, name, ...args];
  return {
    tool,
    broker: (file) => [...JAVA_FLAGS, ...classPath, 'kafka.Kafka', file],
    format: (file, clusterId) => tool('kafka.tools.StorageTool', ['format', '-t', clusterId, '-c', file]),
  };
}

async function fetchJars(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const jars = join(folder, 'jars');
  writeFileSync(join(folder, 'pom.xml'), POM);
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${jars}`, '-DincludeScope=runtime'];
  try {
    await run('mvn', ['-q', '-B', '-f', join(folder, 'pom.xml'), ...goal], { timeout: FETCH_LIMIT_MS });
  } catch (error) {
    throw new Error(`a Kafka broker could not be fetched with Maven: ${(error as Error).message.split('\n')[0]}`);
  }
  return jars;
}
