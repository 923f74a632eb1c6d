import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { after, test } from 'node:test';
import { cli } from '../../../ops/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
after(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const texts = ['', ''];
  const stream = (index: number) =>
    new Writable({
      write(chunk, _, done) {
        texts[index] += chunk;
        done();
      },
    });
  const code = await cli(['config', ...args], { stdin: Readable.from([]), stdout: stream(0), stderr: stream(1), env: { NAME: 'x' } });
  return { code, out: texts[0], err: texts[1] };
}

const overrides = fileOf('overrides.yaml', 'overrides:\n  a: {max_line_size: huge}\n');
const good = fileOf('good.yaml', 'limits_config: {max_line_size: 1MB}\n');
const bad = fileOf('bad.yaml', `server: {http_listen_port: x}\nruntime_config: {file: ${overrides}}\nruler: {}\n`);
const variable = fileOf('variable.yaml', `common: {path_prefix: "/\${NAME}"}\nserver: {http_listen_port: "\${NAME}"}\n`);
const loki = fileOf('loki.yaml', 'schema_config: {}\nlimits_config: {max_line_size: 1MB}\n');
const hint = 'with -config.allow-unsupported, options that are not supported here are ignored with a warning each\n';
const PORT = 'server.http_listen_port: not a whole number';
const HUGE = `${overrides}:2: overrides.a.max_line_size: not a size: huge\n`;
const SCHEMA = `${loki}:1: schema_config is an option of Loki that is not supported here\n`;

const checks: [what: string, args: string[], result: { code: number; out: string; err: string }][] = [
  ['a good file', [good], { code: 0, out: 'valid\n', err: '' }],
  [
    'a bad file with bad overrides, all at once',
    [bad],
    { code: 1, out: '', err: `${bad}:1: ${PORT}: x\n${bad}:3: ruler is an option of Loki that is not supported here\n${HUGE}${hint}` },
  ],
  ['overrides alone', ['--overrides', overrides], { code: 1, out: '', err: HUGE }],
  ['a file of Loki', [loki], { code: 1, out: '', err: SCHEMA + hint }],
  ['a file of Loki, tolerantly', [loki, '--allow-unsupported'], { code: 0, out: `warning: ${SCHEMA}valid\n`, err: '' }],
  ['variables as they are', [variable], { code: 1, out: '', err: `${variable}:2: ${PORT}: \${NAME}\n` }],
  ['variables replaced', ['--expand-env', variable], { code: 1, out: '', err: `${variable}:2: ${PORT}: x\n` }],
];
for (const [what, args, result] of checks) test(`config check: ${what}`, async () => assert.deepEqual(await run('check', ...args), result));

test('config check: a file that is not there', async () => {
  const { code, err } = await run('check', '/none/such.yaml');
  assert.equal(code, 1);
  assert.match(err, /^-config\.file: .*\/none\/such\.yaml/);
});

for (const args of [[], ['check'], ['chekc', good], ['check', good, bad], ['check', '--what', good]]) {
  test(`config ${args.map((arg) => arg.replace(folder, '')).join(' ')}: wrong usage`, async () => {
    const { code, err } = await run(...args);
    assert.equal(code, 2);
    assert.match(err, /^millrace config: /);
  });
}
