import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { realWorld } from '../../../ops/base/world.ts';
import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { openLocalLog } from '../../../storage/log/local.ts';
import { listLocalLogs } from '../../../storage/log/local-logs.ts';
import { listSegments, scanSegment } from '../../../storage/log/segments.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

const ROOT = join(import.meta.dirname, '../../golden/log/v1');
const PAYLOADS = ['', 'one', 'exactly8', 'größer als acht Byte', 'x'.repeat(100)];

test('a log of version 1 is read', async () => {
  const { files } = realWorld();
  const [{ directory, shard, id }] = await listLocalLogs(files, ROOT);
  assert.equal(shard, 7);
  const texts: string[] = [];
  for (const segment of await listSegments(files, directory)) {
    for await (const item of scanSegment(files, id, segment))
      texts.push(item.kind === 'record' ? `${item.position} ${item.bytes}` : 'damage');
  }
  assert.deepEqual(
    texts,
    PAYLOADS.map((text, position) => `${position} ${text}`),
  );
});

test('what is written today is version 1, byte for byte', async () => {
  const { files: golden } = realWorld();
  const [{ directory, id }] = await listLocalLogs(golden, ROOT);
  const files = new PowerCutFiles();
  const world = fakeWorld(1, files);
  const options = { directory: '/log', id, world, instruments: noInstruments, segmentBytes: 4096, maxRecordBytes: 4096 };
  const log = await openLocalLog(options);
  await Promise.all(PAYLOADS.slice(0, 3).map((text) => log.append([Buffer.from(text)])));
  await log.close();
  const again = await openLocalLog(options);
  for (const text of PAYLOADS.slice(3)) await again.append([Buffer.from(text)]);
  await again.close();
  const names = (await golden.list(directory)).map(({ name }) => name);
  assert.deepEqual(
    (await files.list('/log')).map(({ name }) => name),
    names,
  );
  for (const name of names) assert.deepEqual(await files.read(`/log/${name}`), await golden.read(join(directory, name)));
});
