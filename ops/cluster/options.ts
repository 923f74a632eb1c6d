import { hostname } from 'node:os';
import type { NatsOptions } from '../../topology/nats/connect.ts';
import { duration, int, list, type OptionsOf, section, string } from '../base/options.ts';
import type { Configuration } from '../config.ts';

export const natsOptions = section('nats', 'nats', {
  servers: list(
    '',
    'Servers of the NATS cluster that the processes of a cluster of ours meet at, as `host:port`; empty: this process is alone.',
  ),
  user: string('', 'User at NATS.'),
  password: string('', 'Password at NATS.'),
  nkeyFile: string('', 'File with the seed of the nkey that proves who this process is.'),
  credentialsFile: string('', 'Credentials file (.creds) that proves who this process is.'),
  tlsCaPath: string('', 'Certificates of the authorities that NATS servers are trusted by; set for TLS.'),
  tlsCertPath: string('', 'Certificate of this process, where NATS servers ask for one.'),
  tlsKeyPath: string('', 'Key of that certificate.'),
});

export const ringOptions = section('common.ring', 'common.storage.ring', {
  clusterName: string('main', 'Name of the cluster: processes with another one do not see it, though they share NATS servers.', {
    flag: 'cluster.name',
  }),
  instanceId: string(
    '',
    'Name of this process in the cluster, unlike any other and the same after a restart; empty: the name of the host.',
  ),
  instanceAvailabilityZone: string(
    '',
    'What fails together with this process: no two copies of an entry lie in one zone. Empty: the host.',
  ),
  replicationFactor: int('3', 'Copies of each entry until it is in storage; a push is answered once more than half of them are durable.', {
    min: 1,
    max: 9,
  }),
  numTokens: int('128', 'Tokens of an instance in its ring: with more the streams are shared out more evenly.', { min: 1, max: 4_096 }),
  heartbeatPeriod: duration('5s', 'How often an instance tells the others that it is there.', { min: 10 }),
  heartbeatTimeout: duration('1m', 'An instance that was not heard of for so long is given nothing new.', { min: 50 }),
});

/** Name of the ingesters' ring. */
export const INGESTER_RING = 'ingester';

/** Of a process that is one of several; plain data. */
export interface ClusterSettings {
  readonly nats: NatsOptions;
  readonly cluster: string;
  readonly instance: string;
  readonly zone: string;
  readonly ring: OptionsOf<typeof ringOptions>;
}

/** Undefined: the process is alone. */
export function clusterSettings(configuration: Configuration): ClusterSettings | undefined {
  const { servers, user, password, nkeyFile, credentialsFile, tlsCaPath, tlsCertPath, tlsKeyPath } = configuration.valuesOf(natsOptions);
  if (servers.length === 0) return undefined;
  const ring = configuration.valuesOf(ringOptions);
  const files = {
    ...(tlsCaPath && { caFile: tlsCaPath }),
    ...(tlsCertPath && { certFile: tlsCertPath }),
    ...(tlsKeyPath && { keyFile: tlsKeyPath }),
  };
  return {
    nats: {
      servers,
      ...(user && { user, password }),
      ...(nkeyFile && { nkeyFile }),
      ...(credentialsFile && { credentialsFile }),
      ...(Object.keys(files).length > 0 && { tls: files }),
    },
    cluster: ring.clusterName,
    instance: ring.instanceId || hostname(),
    zone: ring.instanceAvailabilityZone || hostname(),
    ring,
  };
}
