import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Of this machine, signed by itself; files of that name in the folder. */
export function certificate(folder: string, name: string): [key: string, cert: string] {
  const [key, cert] = [`${name}-key.pem`, `${name}.pem`].map((file) => join(folder, file));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', ...subject], {
    stdio: 'ignore',
  });
  return [key, cert];
}
