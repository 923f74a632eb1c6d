import { bool, bytes, choice, duration, int, list, type OptionsOf, secret, section, string } from '../../ops/base/options.ts';

export const kafkaOptions = section('kafka_config', 'kafka', {
  brokers: list('', 'Brokers of the Kafka cluster by which others of it are found, as `host:port`.'),
  clientName: string('millrace', 'What this process is called in the logs and quotas of brokers.'),
  dialTimeout: duration('2s', 'How long a broker may take to accept a connection.', { min: 1 }),
  requestTimeout: duration('10s', 'How long a broker may take to answer.', { min: 1 }),
  saslMechanism: choice(['plain', 'scram-sha-256', 'scram-sha-512'], 'plain', 'How the user proves who it is; only with a user.'),
  saslUsername: string('', 'User at Kafka; empty: none.'),
  saslPassword: secret('Password at Kafka.'),
  tlsEnabled: bool('false', 'Speak TLS with brokers.'),
  tlsCaPath: string('', 'Certificates of the authorities that brokers are trusted by; empty: those that Node trusts.'),
  tlsCertPath: string('', 'Certificate of this process, where brokers ask for one.'),
  tlsKeyPath: string('', 'Key of that certificate.'),
  topic: string('millrace.ingest', 'Topic that is the ingest log, with -common.ingest-log=kafka.'),
  consumerGroup: string('millrace.ingest', 'Group by which ingesters share the partitions of that topic.'),
  autoCreateTopicEnabled: bool('true', 'Make the topic if it is not there.'),
  autoCreateTopicDefaultPartitions: int(
    '24',
    'Partitions of the topic when it is made: at least as many as there will be shards of ingesters.',
    {
      min: 1,
      max: 10_000,
    },
  ),
  topicReplicationFactor: int('3', 'Copies of each record that brokers keep when the topic is made; fewer where there are fewer brokers.', {
    min: 1,
    max: 9,
  }),
  topicRetention: duration('168h', 'How long brokers keep records when the topic is made: longer than storage may ever be away.', {
    min: 60_000,
  }),
  producerMaxRecordSizeBytes: bytes('8MB', 'Size of a record before it is compressed: pushes with more become several.'),
  writeTimeout: duration(
    '2s',
    'How long a push waits for Kafka: after that it is answered as one in doubt, and those that follow are refused until Kafka answers again.',
    { min: 10 },
  ),
  sessionTimeout: duration(
    '10s',
    'An ingester that Kafka has not heard of for so long loses its partitions to others; brokers take no less than 6s unless told otherwise.',
    { min: 1_000 },
  ),
});

export type KafkaOptions = OptionsOf<typeof kafkaOptions>;
