#!/usr/bin/env node
// `millrace`: picks the Node, sets what must be set before a process starts, and becomes the server (`serve`) or the command line.
// Plain JavaScript: it may be run by a Node too old for the sources.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled, nodeBinary, root } from './bootstrap.mjs';
import { serverEnvironment } from './environment.mjs';

const [command, ...rest] = process.argv.slice(2);
const serving = command === 'serve';
const script = serving ? [join(root, 'ops', 'main.ts'), ...rest] : [join(root, 'ops', 'cli.ts'), ...process.argv.slice(2)];

try {
  await ensureInstalled();
  run(nodeBinary(), serving ? serverEnvironment(process.env) : process.env);
} catch (error) {
  console.error(`millrace: ${error.message}`);
  process.exitCode = 1;
}

function run(node, env) {
  // Replacing this process keeps its id and terminal and leaves nobody between a signal and the server.
  if (process.execve && process.platform !== 'win32') process.execve(node, [node, ...script], env);
  const child = spawn(node, script, { stdio: 'inherit', env });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {}); // the terminal sends Ctrl-C to the child as well
  child.on('error', (error) => {
    console.error(`millrace: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128 + (constants.signals[signal] ?? 0));
  });
}
