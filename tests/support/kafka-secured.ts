import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KafkaOptions } from '../../storage/kafka/options.ts';
import { certificate } from './certificate.ts';

/** One more way into a broker. */
export interface SecuredListener {
  readonly what: string;
  /** Lower case. */
  readonly name: string;
  readonly protocol: 'SASL_SSL' | 'SASL_PLAINTEXT' | 'SSL';
  /** Of the broker. */
  readonly properties: readonly string[];
  readonly right: Partial<KafkaOptions>;
  readonly wrong: Partial<KafkaOptions>;
}

const [USER, PASSWORD] = ['millrace', 'correct-horse'];
const SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
const PLAIN = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`;
/** Of the storage tool: makes the user. */
export const ADD_USER = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((name) => [
  '--add-scram',
  `${name}=[name=${USER},password=${PASSWORD}]`,
]);

/** Ways to prove who a client is; files go to a folder of the test's. */
export function securedListeners(folder: string): SecuredListener[] {
  const [key, cert] = certificate(folder, 'right');
  const [, other] = certificate(folder, 'wrong');
  const keyStore = join(folder, 'broker.pem');
  writeFileSync(keyStore, readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'));
  const user = { saslUsername: USER, saslPassword: PASSWORD };
  const tls = (name: string): string[] => [
    `listener.name.${name}.ssl.keystore.type=PEM`,
    `listener.name.${name}.ssl.keystore.location=${keyStore}`,
    `listener.name.${name}.ssl.truststore.type=PEM`,
    `listener.name.${name}.ssl.truststore.location=${cert}`,
  ];
  const trusted = { tlsEnabled: true, tlsCaPath: cert };
  const scram = (bits: 256 | 512): SecuredListener => ({
    what: `SCRAM-SHA-${bits} over TLS`,
    name: `scram${bits}`,
    protocol: 'SASL_SSL',
    properties: [
      ...tls(`scram${bits}`),
      `listener.name.scram${bits}.sasl.enabled.mechanisms=SCRAM-SHA-${bits}`,
      `listener.name.scram${bits}.scram-sha-${bits}.sasl.jaas.config=${SCRAM}`,
    ],
    right: { ...trusted, ...user, saslMechanism: `scram-sha-${bits}` },
    wrong: { ...trusted, ...user, saslMechanism: `scram-sha-${bits}`, saslPassword: 'wrong' },
  });
  return [
    scram(512),
    scram(256),
    {
      what: 'user and password',
      name: 'plain',
      protocol: 'SASL_PLAINTEXT',
      properties: ['listener.name.plain.sasl.enabled.mechanisms=PLAIN', `listener.name.plain.plain.sasl.jaas.config=${PLAIN}`],
      right: { ...user, saslMechanism: 'plain' },
      wrong: { ...user, saslMechanism: 'plain', saslPassword: 'wrong' },
    },
    {
      what: 'TLS with certificates of both sides',
      name: 'mutual',
      protocol: 'SSL',
      properties: [...tls('mutual'), 'listener.name.mutual.ssl.client.auth=required'],
      right: { ...trusted, tlsCertPath: cert, tlsKeyPath: key },
      wrong: { tlsEnabled: true, tlsCaPath: other, tlsCertPath: cert, tlsKeyPath: key },
    },
  ];
}

/** Options of a process that connects so. */
export function kafkaFlags(options: Partial<KafkaOptions>): string[] {
  const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return Object.entries(options).map(([name, value]) => `-kafka.${dashed(name)}=${value}`);
}
