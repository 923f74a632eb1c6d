import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeAccount, encodeOperator, encodeUser, fmtCreds } from '@nats-io/jwt';
import { createAccount, createOperator, createUser } from '@nats-io/nkeys';
import type { NatsOptions } from '../../topology/nats/connect.ts';
import { certificate } from './certificate.ts';

/** How a server and its clients are set up. */
export interface Secured {
  readonly config: string;
  readonly right: Partial<NatsOptions>;
  readonly wrong: Partial<NatsOptions>;
}

const written = (folder: string, name: string, text: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
const UNLIMITED = { conn: -1, leaf: -1, imports: -1, exports: -1, subs: -1, data: -1, payload: -1, wildcards: true };

async function withCredentials(folder: string): Promise<Secured> {
  const [operator, account, system, user, stranger] = [createOperator(), createAccount(), createAccount(), createUser(), createUser()];
  const operatorJwt = await encodeOperator('millrace', operator, { system_account: system.getPublicKey() });
  const jwtOf = (name: string, key: typeof account, limits: typeof UNLIMITED) => encodeAccount(name, key, { limits }, { signer: operator });
  const strangerJwt = await encodeUser('process', stranger, createAccount(), {});
  const userJwt = await encodeUser('process', user, account, {});
  return {
    config: `operator: ${written(folder, 'operator.jwt', operatorJwt)}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: { ${account.getPublicKey()}: ${await jwtOf('logs', account, { ...UNLIMITED, ...JETSTREAM })}, ${system.getPublicKey()}: ${await jwtOf('system', system, UNLIMITED)} }`,
    right: { credentialsFile: written(folder, 'right.creds', fmtCreds(userJwt, user)) },
    wrong: { credentialsFile: written(folder, 'wrong.creds', fmtCreds(strangerJwt, stranger)) },
  };
}

function withNkeys(folder: string): Secured {
  const [user, stranger] = [createUser(), createUser()];
  return {
    config: `authorization: { users: [ { nkey: ${user.getPublicKey()} } ] }`,
    right: { nkeyFile: written(folder, 'right.nk', user.getSeed()) },
    wrong: { nkeyFile: written(folder, 'wrong.nk', stranger.getSeed()) },
  };
}

function withTls(folder: string): Secured {
  const [key, cert] = certificate(folder, 'right');
  const [, other] = certificate(folder, 'wrong');
  return {
    config: `tls: { cert_file: "${cert}", key_file: "${key}", ca_file: "${cert}", verify: true }`,
    right: { tls: { caFile: cert, certFile: cert, keyFile: key } },
    wrong: { tls: { caFile: other, certFile: cert, keyFile: key } },
  };
}

/** Ways to prove who a client is; files go to a folder of the test's. */
export const securedNats: readonly (readonly [what: string, set: (folder: string) => Secured | Promise<Secured>])[] = [
  [
    'user and password',
    () => ({
      config: 'authorization: { user: millrace, password: "correct horse" }',
      right: { user: 'millrace', password: 'correct horse' },
      wrong: { user: 'millrace', password: 'wrong' },
    }),
  ],
  ['an nkey', withNkeys],
  ['a credentials file', withCredentials],
  ['TLS with certificates of both sides', withTls],
];

/** Options of a process that connects so. */
export function natsFlags({ user, password, nkeyFile, credentialsFile, tls }: Partial<NatsOptions>): string[] {
  const values = {
    user,
    password,
    'nkey-file': nkeyFile,
    'credentials-file': credentialsFile,
    'tls-ca-path': tls?.caFile,
    'tls-cert-path': tls?.certFile,
    'tls-key-path': tls?.keyFile,
  };
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`-nats.${name}=${value}`]));
}
