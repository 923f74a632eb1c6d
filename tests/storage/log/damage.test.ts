import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from '../../../ops/base/bytes.ts';
import { noInstruments } from '../../../ops/base/instruments.ts';
import { fakeWorld, seededRandom } from '../../../ops/base/world-fake.ts';
import type { LogGap, Position } from '../../../storage/log/ingest-log.ts';
import { type LocalLog, openLocalLog } from '../../../storage/log/local.ts';
import {
  FILE_HEADER_BYTES,
  fileHeader,
  readRecords,
  recordBytes,
  type Scanned,
  sealOf,
  writeRecordHead,
} from '../../../storage/log/record.ts';
import { segmentPath } from '../../../storage/log/segments.ts';
import { isFault, numbers } from '../../support/checks.ts';
import { itemsIn } from '../../support/log-suite.ts';
import { PowerCutFiles } from '../../support/power-cut-files.ts';

const directory = '/log';
const id = '0123456789abcdef0123456789abcdef';

function open(files: PowerCutFiles, instruments = noInstruments): Promise<LocalLog> {
  return openLocalLog({ directory, id, world: fakeWorld(1, files), instruments, segmentBytes: 4096, maxRecordBytes: 4096 });
}

const payload = (position: Position): Buffer => Buffer.alloc(20 + ((position * 131) % 600), `payload ${position} `);

/** Where a record lies: bytes [from, to) of its file. */
interface Place {
  readonly path: string;
  readonly position: Position;
  readonly from: number;
  readonly to: number;
}

/** A log of `count` records in several files, written in groups of up to 4. */
async function writtenLog(count: number): Promise<{ files: PowerCutFiles; places: Place[] }> {
  const files = new PowerCutFiles();
  await files.makeDirectory(directory);
  const log = await open(files);
  for (let at = 0; at < count; at += 4)
    await Promise.all(numbers(Math.min(4, count - at)).map((number) => log.append([payload(at + number)])));
  await log.close();
  const places: Place[] = [];
  for (const { name } of await files.list(directory)) {
    const path = `${directory}/${name}`;
    for (const item of readRecords(await files.read(path), sealOf(id, Number(name.slice(0, 10))))) {
      assert.equal(item.kind, 'record');
      if (item.kind === 'record')
        places.push({ path, position: item.position, from: item.next - recordBytes(item.bytes.length), to: item.next });
    }
  }
  assert.deepEqual(
    places.map(({ position }) => position),
    numbers(count),
  );
  return { files, places };
}

async function found(log: LocalLog): Promise<{ positions: Position[]; gaps: LogGap[] }> {
  const positions: Position[] = [];
  const gaps: LogGap[] = [];
  let expected = 0;
  for (const item of await itemsIn(log)) {
    if (item.kind === 'gap') {
      assert.equal(item.from, expected);
      expected = item.to;
      gaps.push(item);
    } else {
      assert.equal(item.position, expected++);
      assert.ok(item.bytes.equals(payload(item.position)));
      positions.push(item.position);
    }
  }
  assert.equal(expected, log.end);
  return { positions, gaps };
}

const lostIn = (gaps: readonly LogGap[]): number => gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);

for (const seed of numbers(40)) {
  test(`flipped bits lose the records they hit and no other, seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const below = (count: number) => Math.floor(random.next() * count);
    const { files, places } = await writtenLog(60);
    const hit = new Set<Position>();
    for (const _ of numbers(1 + below(6))) {
      const { path } = places[below(places.length)];
      const at = below((await files.stat(path)).sizeBytes);
      files.flipBit(path, at, below(8));
      const place = places.find((place) => place.path === path && place.from <= at && at < place.to);
      // A padding byte or a bit flipped back changes nothing; then the record may be found all the same.
      if (place !== undefined) hit.add(place.position);
    }
    const log = await open(files);
    const { positions, gaps } = await found(log);
    const missing = numbers(60).filter((position) => !positions.includes(position));
    assert.ok(missing.every((position) => hit.has(position)));
    const cutAtEnd = 60 - log.end;
    assert.equal(lostIn(gaps) + cutAtEnd, missing.length);
    assert.ok(gaps.every((gap) => gap.lostBytes > 0));
  });

  test(`a file with bytes missing in its middle loses the records they were of and no other, seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const { files, places } = await writtenLog(60);
    const { path } = places[Math.floor(random.next() * 40)];
    const inFile = places.filter((place) => place.path === path);
    const size = inFile.at(-1)!.to;
    const from = Math.floor(random.next() * size);
    const to = Math.min(size, from + 1 + Math.floor(random.next() * 900));
    files.cut(path, from, to);
    const { positions, gaps } = await found(await open(files));
    const missing = numbers(60).filter((position) => !positions.includes(position));
    assert.deepEqual(
      missing,
      inFile.filter((place) => place.from < to && from < place.to).map(({ position }) => position),
    );
    assert.equal(lostIn(gaps), missing.length);
  });
}

test('a file that is gone is one gap, told in full, and counted once however often it is read', async () => {
  const { files, places } = await writtenLog(60);
  const path = places[25].path;
  const gone = places.filter((place) => place.path === path).map(({ position }) => position);
  await files.unlink(path);
  let counted = 0;
  const counter = (name: string) => ({
    add(amount: number) {
      if (name === 'millrace_wal_lost_records_total') counted += amount;
    },
  });
  const log = await open(files, { ...noInstruments, counter });
  for (const _ of numbers(2)) {
    const { gaps } = await found(log);
    assert.deepEqual(
      gaps.map(({ from, to, lostBytes, doubtful }) => ({ from, to, lostBytes, doubtful })),
      [{ from: gone[0], to: gone.at(-1)! + 1, lostBytes: 0, doubtful: false }],
    );
  }
  assert.equal(counted, gone.length);
});

test('damage below the position asked for is not reported', async () => {
  const { files, places } = await writtenLog(60);
  files.flipBit(places[3].path, places[3].from + 40, 1);
  const items = await itemsIn(await open(files), 4);
  assert.deepEqual(
    items.map((item) => item.kind === 'record' && item.position),
    numbers(60).slice(4),
  );
});

test('damage within the last group is doubtful, before it certain', async () => {
  const doubts = async (position: Position): Promise<boolean[]> => {
    const { files, places } = await writtenLog(60);
    files.flipBit(places[position].path, places[position].from + 40, 1);
    const log = await open(files);
    const before = (await found(log)).gaps.map(({ doubtful }) => doubtful);
    await log.append([payload(60)]);
    await log.close();
    const after = (await found(await open(files))).gaps.map(({ doubtful }) => doubtful);
    assert.deepEqual(after, before, 'the answer is the same once newer files are there');
    return before;
  };
  assert.deepEqual(await doubts(57), [true]);
  assert.deepEqual(await doubts(53), [false]);
  assert.deepEqual(await doubts(55), [false]);
  // Within the last group of a file that another one of the same epoch follows.
  const { places } = await writtenLog(60);
  const last = places.find(
    ({ path, position }) => position % 4 >= 2 && path !== places[position + 1]?.path && path === places[position - 2].path,
  );
  assert.deepEqual(await doubts(last!.position - 1), [false]);
});

test('records that an abandoned file holds beyond its last acknowledged one do not count, also where that one is damaged', async () => {
  const files = new PowerCutFiles();
  await files.makeDirectory(directory);
  const log = await open(files);
  await log.append([payload(0)]);
  await log.append([payload(1)]);
  files.goodSyncs = 0;
  await assert.rejects(Promise.all([log.append([payload(7)]), log.append([payload(8)])]));
  await log.append([payload(2)]);
  await log.close();
  const path = segmentPath(directory, 1, 0);
  files.flipBit(path, FILE_HEADER_BYTES + recordBytes(payload(0).length) + 40, 1);
  const { positions, gaps } = await found(await open(files));
  assert.deepEqual(positions, [0, 2]);
  assert.equal(lostIn(gaps), 1);
});

test('a log of a later version is refused, not taken for damage', async () => {
  const { files, places } = await writtenLog(3);
  const header = fileHeader(sealOf(id, 1), 0);
  header.writeUInt32LE(2, 4);
  header.writeUInt32LE(crc32(header.subarray(0, 28), sealOf(id, 1).idCrc), 28);
  const body = (await files.read(places[0].path)).subarray(FILE_HEADER_BYTES);
  await files.write(places[0].path, Buffer.concat([header, body]));
  await assert.rejects(open(files), isFault('unsupported'));
});

/** A record as somebody would make it who knows the format. */
function recordOf(logId: string, epoch: number, position: Position, bytes: Buffer): Buffer {
  const record = Buffer.alloc(recordBytes(bytes.length));
  writeRecordHead(record, 0, sealOf(logId, epoch), { position, index: 0, payloadBytes: bytes.length, payloadCrc: crc32(bytes) });
  bytes.copy(record, 32);
  return record;
}

test('a payload cannot pass for a record when the one around it is damaged', () => {
  const forged = recordOf('guessed', 1, 1, Buffer.from('of another tenant'));
  const file = Buffer.concat([
    fileHeader(sealOf(id, 1), 0),
    recordOf(id, 1, 0, Buffer.alloc(8)),
    recordOf(id, 1, 1, forged),
    recordOf(id, 1, 2, Buffer.alloc(8)),
  ]);
  file[FILE_HEADER_BYTES + recordBytes(8) + 9] ^= 1;
  const kinds = [...readRecords(file, sealOf(id, 1))].map((item) => (item.kind === 'record' ? item.position : item.sizeBytes));
  assert.deepEqual(kinds, [0, recordBytes(forged.length), 2]);
});

test('any bytes can be scanned, and every byte is accounted for', () => {
  const seal = sealOf(id, 1);
  const whole = Buffer.concat([fileHeader(seal, 0), ...numbers(30).map((position) => recordOf(id, 1, position, payload(position)))]);
  for (const seed of numbers(300)) {
    const random = seededRandom(seed);
    const below = (count: number) => Math.floor(random.next() * count);
    let bytes: Buffer = Buffer.from(whole.subarray(below(2) * below(whole.length), whole.length - below(2) * below(4000)));
    for (const _ of numbers(below(20))) bytes[below(bytes.length)] = below(256);
    if (below(2) === 0) bytes = Buffer.concat([bytes.subarray(0, below(bytes.length)), bytes.subarray(below(bytes.length))]);
    const items: Scanned[] = [...readRecords(bytes, seal)];
    const records = items.filter((item) => item.kind === 'record');
    const damaged = items.reduce((sum, item) => sum + (item.kind === 'damage' ? item.sizeBytes : 0), 0);
    const kept = records.reduce(
      (sum, item) => sum + Math.min(recordBytes(item.bytes.length), bytes.length - (item.next - recordBytes(item.bytes.length))),
      0,
    );
    assert.ok([0, FILE_HEADER_BYTES].includes(bytes.length - damaged - kept), `seed ${seed}`);
    for (const { position, bytes } of records) assert.ok(bytes.equals(payload(position)));
  }
});

test('records and damage across the windows that a large file is read in', () => {
  const seal = sealOf(id, 1);
  const sizes = [900_000, 200_000, 1_500_000, 70_000, 300_000, 2_100_000, 5];
  const bodies = sizes.map((size, position) => Buffer.alloc(size, `body ${position} `));
  const whole = Buffer.concat([fileHeader(seal, 0), ...bodies.map((body, position) => recordOf(id, 1, position, body))]);
  const ends: number[] = [];
  for (const item of readRecords(whole, seal)) if (item.kind === 'record') ends.push(item.next);
  assert.equal(ends.length, sizes.length);
  for (const seed of numbers(20)) {
    const random = seededRandom(seed);
    const bytes = Buffer.from(whole);
    const at = Math.floor(random.next() * bytes.length);
    bytes.subarray(at, at + Math.floor(random.next() * 1_200_000)).fill(0);
    const items = [...readRecords(bytes, seal)];
    const positions = items.flatMap((item) => (item.kind === 'record' ? [item.position] : []));
    const intact = numbers(sizes.length).filter((position) => {
      const from = position === 0 ? FILE_HEADER_BYTES : ends[position - 1];
      return bytes.subarray(from, ends[position]).equals(whole.subarray(from, ends[position]));
    });
    assert.deepEqual(positions, intact, `seed ${seed}`);
    for (const item of items) if (item.kind === 'record') assert.ok(item.bytes.equals(bodies[item.position]));
  }
});
