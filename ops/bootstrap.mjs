#!/usr/bin/env node
// Installs what is missing, so that `npm start` and `npm test` work from a fresh clone. Plain JavaScript for any Node from 18 on:
// it runs before the Node 24 that the project needs is there. With everything in place it costs one hash of the lock file.
//
//   node ops/bootstrap.mjs [--dev] [--force]      --dev: also what tests and checks need; --force: install even if nothing changed
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const NODE_MAJOR = 24;
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.millrace.json');

/** The Node that runs the TypeScript sources: the installed one, or the machine's if that is new enough; undefined if there is none. */
export function nodeBinary() {
  const installed = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(installed)) return installed;
  return Number(process.versions.node.split('.')[0]) >= NODE_MAJOR ? process.execPath : undefined;
}

/** Installs unless node_modules already holds what package-lock.json asks for. Throws with a readable message. */
export async function ensureInstalled({ dev = false, force = false } = {}) {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = readStamp();
  if (!force && stamp.hash === wanted && (stamp.dev || !dev)) return;
  // A developer's packages stay: npm would remove them if they were left out here.
  const withDev = dev || stamp.dev || hasDevPackages();
  await install(withDev);
  if (nodeBinary() === undefined) {
    throw new Error(
      `Node ${NODE_MAJOR} is needed and could not be fetched for ${process.platform}-${process.arch}; install it, then try again`,
    );
  }
  warnWithoutZstd();
  writeFileSync(stampFile, JSON.stringify({ hash: wanted, dev: withDev }));
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return { hash: '', dev: false };
  }
}

function hasDevPackages() {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.keys(devDependencies).some((name) => existsSync(join(modules, name)));
}

async function install(withDev) {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  console.error('millrace: installing packages (only when they changed; half a minute, needs the network)');
  // `npm ci` would refuse a lock file in which optional packages of other platforms are missing; this keeps to the lock as well.
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', withDev ? '--include=dev' : '--omit=dev'];
  const ticker = process.stderr.isTTY ? undefined : setInterval(() => console.error(`millrace: still installing, ${seconds()} s`), 10_000);
  const code = await new Promise((resolve, reject) => {
    const npm = process.env.npm_execpath; // npm tells the scripts that it runs where it is
    const child = npm?.endsWith('.js')
      ? spawn(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
      : spawn('npm', args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
    child.on('error', (error) => reject(error.code === 'ENOENT' ? new Error('npm is not on the PATH') : error));
    child.on('exit', (status, signal) => resolve(status ?? signal));
  }).finally(() => clearInterval(ticker));
  if (code !== 0) throw new Error(`npm install ended with ${code}; its messages are above`);
  console.error(`millrace: installed in ${seconds()} s`);
}

/** npm drops an optional package whose compilation fails without a word; the store then uses Node's own zstd. */
function warnWithoutZstd() {
  try {
    createRequire(join(root, 'package.json')).resolve('zstd-napi');
  } catch {
    console.error(
      "millrace: zstd-napi could not be built, so Node's own zstd is used, which is slower.\n" +
        'millrace: it wants a C++ compiler, make and Python (Debian: apt install g++ make python3); then run: node ops/bootstrap.mjs --force',
    );
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await ensureInstalled({ dev: process.argv.includes('--dev'), force: process.argv.includes('--force') });
  } catch (error) {
    console.error(`millrace: ${error.message}`);
    process.exitCode = 1;
  }
}
