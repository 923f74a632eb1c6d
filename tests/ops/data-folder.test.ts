import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';

const root = mkdtempSync(join(tmpdir(), 'millrace-folder-'));
after(() => rmSync(root, { recursive: true }));

/** A process that takes the folder and keeps it; `taken` says whether it could. */
async function takes(context: TestContext, folder: string, platform: string) {
  const script = `
    Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} });
    const { openDataFolder } = await import(${JSON.stringify(new URL('../../ops/data-folder.ts', import.meta.url).href)});
    const taken = await openDataFolder(${JSON.stringify(folder)}, '').then(() => true, (error) => error.message);
    console.log(taken);
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const [output] = await once(child.stdout, 'data');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { taken: String(output).trim(), kill };
}

for (const platform of ['linux', 'darwin']) {
  test(`a data folder is one process's until that is gone, however it went: ${platform}`, async (context) => {
    const folder = join(root, platform);
    const first = await takes(context, folder, platform);
    assert.equal(first.taken, 'true');
    const second = await takes(context, folder, platform);
    assert.match(second.taken, /another process is using/);
    await second.kill();
    await first.kill();
    const third = await takes(context, folder, platform);
    assert.equal(third.taken, 'true');
    await third.kill();
  });
}
