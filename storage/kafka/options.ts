import { bool, choice, duration, list, type OptionsOf, secret, section, string } from '../../ops/base/options.ts';

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
});

export type KafkaOptions = OptionsOf<typeof kafkaOptions>;
