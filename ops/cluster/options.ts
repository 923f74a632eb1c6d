import { hostname } from 'node:os';
import type { NatsOptions } from '../../topology/nats/connect.ts';
import { bool, duration, int, list, type OptionsOf, secret, section, string } from '../base/options.ts';
import type { Configuration } from '../config.ts';

export const natsOptions = section('nats', 'nats', {
  servers: list(
    '',
    'Servers of the NATS cluster that the processes of a cluster of ours meet at, as `host:port`; empty: this process is alone.',
  ),
  user: string('', 'User at NATS.'),
  password: secret('Password at NATS.'),
  nkeyFile: string('', 'File with the seed of the nkey that proves who this process is.'),
  credentialsFile: string('', 'Credentials file (.creds) that proves who this process is.'),
  tlsCaPath: string('', 'Certificates of the authorities that NATS servers are trusted by; set for TLS.'),
  tlsCertPath: string('', 'Certificate of this process, where NATS servers ask for one.'),
  tlsKeyPath: string('', 'Key of that certificate.'),
});

export const natsServicesOptions = section('nats.services', 'nats.services', {
  enabled: bool(
    'false',
    'Serve NATS clients: logs.<tenant>.push, .query, .query_range, .labels, .label_values, .series, .stats and .tail.',
  ),
  servers: list('', 'NATS servers of these clients; empty: those of the cluster.'),
  user: string('', 'User at NATS, of the account that these services are in.'),
  password: secret('Password at NATS.'),
  nkeyFile: string('', 'File with the seed of the nkey of that user.'),
  credentialsFile: string('', 'Credentials file (.creds) of that user.'),
  tlsCaPath: string('', 'Certificates of the authorities that NATS servers are trusted by; set for TLS.'),
  insecure: bool(
    'false',
    'Serve clients in the account of the cluster itself: whoever may push may then also pretend to be one of its processes.',
  ),
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
  inspectLifecycle: bool('false', 'Log every event of the state machine that an instance goes through its ring by, and where it leads.'),
  forgetAfter: duration(
    '0s',
    'An instance that was not heard of for so long is forgotten: queries do not wait for it any more, and what only it has is not found. 0: only by hand.',
  ),
});

/** Who a process is in rings. */
export interface RingPlace {
  readonly instance: string;
  /** Of this start. */
  readonly incarnation: string;
  readonly zone: string;
  readonly ring: OptionsOf<typeof ringOptions>;
}

/** Of a process that is one of several; plain data. */
export interface ClusterSettings extends RingPlace {
  readonly nats: NatsOptions;
  readonly cluster: string;
}

/** `incarnation`: of this start, unlike any other's. Throws an Error if the instance's id cannot stand in an address. */
export function ringPlace(configuration: Configuration, incarnation: string): RingPlace {
  const ring = configuration.valuesOf(ringOptions);
  const instance = ring.instanceId || hostname();
  if (!/^[A-Za-z0-9._-]+$/.test(instance))
    throw new Error(`-common.storage.ring.instance-id is to be of letters, digits, '.', '_' and '-', not '${instance}'`);
  return { instance, incarnation, zone: ring.instanceAvailabilityZone || hostname(), ring };
}

/** Undefined: the process is alone. */
export function clusterSettings(configuration: Configuration, incarnation: string): ClusterSettings | undefined {
  const nats = configuration.valuesOf(natsOptions);
  if (nats.servers.length === 0) return undefined;
  const place = ringPlace(configuration, incarnation);
  return { ...place, nats: connectionOf(nats), cluster: place.ring.clusterName };
}

/** The connection for NATS clients; undefined if there are none to be served. Throws an Error where they could forge what processes say to each other. */
export function natsServicesConnection(configuration: Configuration): NatsOptions | undefined {
  const own = configuration.valuesOf(natsServicesOptions);
  if (!own.enabled) return undefined;
  const internal = configuration.valuesOf(natsOptions);
  const servers = own.servers.length > 0 ? own.servers : internal.servers;
  if (servers.length === 0) throw new Error('-nats.services.enabled needs -nats.services.servers');
  const isOwnAccount = own.user !== '' || own.nkeyFile !== '' || own.credentialsFile !== '';
  if (internal.servers.length > 0 && !isOwnAccount && !own.insecure) {
    throw new Error(
      'NATS clients need an account of their own, or they could pretend to be a process of the cluster: give -nats.services.user, .nkey-file or .credentials-file, or accept it with -nats.services.insecure',
    );
  }
  return connectionOf(isOwnAccount ? { ...own, servers, tlsCertPath: '', tlsKeyPath: '' } : { ...internal, servers });
}

function connectionOf({
  servers,
  user,
  password,
  nkeyFile,
  credentialsFile,
  tlsCaPath,
  tlsCertPath,
  tlsKeyPath,
}: OptionsOf<typeof natsOptions>): NatsOptions {
  const files = {
    ...(tlsCaPath && { caFile: tlsCaPath }),
    ...(tlsCertPath && { certFile: tlsCertPath }),
    ...(tlsKeyPath && { keyFile: tlsKeyPath }),
  };
  return {
    servers,
    ...(user && { user, password }),
    ...(nkeyFile && { nkeyFile }),
    ...(credentialsFile && { credentialsFile }),
    ...(Object.keys(files).length > 0 && { tls: files }),
  };
}
