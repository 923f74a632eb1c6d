import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { IngestLog, LogGap, LogRecord, LogWriter, Position } from '../../storage/log/ingest-log.ts';
import { isFault, numbers } from './checks.ts';

/** What the suite needs of a make of LogWriter. */
export interface LogWriterHarness {
  /** Opens a writer of the same log, again and again; the one before is closed first. Takes records of up to 4 KiB. */
  open(): Promise<LogWriter>;
  /** All that the log has from `from` on, the bytes copied. */
  records(from?: Position): Promise<LogRecord[]>;
}

/** Every make of LogWriter passes this. `harness` starts an empty log. */
export function logWriterSuite(name: string, harness: () => Promise<LogWriterHarness>, options: { skip?: string | false } = {}): void {
  describe(`writer of an ingest log: ${name}`, options, () => {
    test('what was appended is there in order, with positions from 0', async () => {
      const { open, records } = await harness();
      const log = await open();
      assert.equal(await log.append([Buffer.from('a')]), 0);
      assert.equal(await log.append([Buffer.from('b'), Buffer.from('cd')]), 1);
      assert.equal(await log.append([]), 2);
      assert.deepEqual(texts(await records()), ['0:a', '1:bcd', '2:']);
      await log.close();
    });

    test('appends made at once get their positions, and resolve, in the order of the calls', async () => {
      const { open, records } = await harness();
      const log = await open();
      const resolved: number[] = [];
      const appends = numbers(50).map(async (number) => {
        const position = await log.append([Buffer.from(`record ${number}`)]);
        resolved.push(number);
        return position;
      });
      assert.deepEqual(await Promise.all(appends), numbers(50));
      assert.deepEqual(resolved, numbers(50));
      assert.deepEqual(
        texts(await records()),
        numbers(50).map((number) => `${number}:record ${number}`),
      );
      await log.close();
    });

    test('a writer that is opened again goes on where the log ended', async () => {
      const { open, records } = await harness();
      for (const round of numbers(4)) {
        const log = await open();
        for (const number of numbers(3)) assert.equal(await log.append([Buffer.alloc(400, round)]), round * 3 + number);
        await log.close();
      }
      const log = await open();
      const all = await records();
      assert.deepEqual(positions(all), numbers(12));
      assert.ok(all.every(({ position, bytes }) => bytes.equals(Buffer.alloc(400, Math.floor(position / 3)))));
      assert.deepEqual(positions(await records(7)), numbers(12).slice(7));
      await log.close();
    });

    test('refuses a record that is too large, and every record once closed', async () => {
      const log = await (await harness()).open();
      await assert.rejects(log.append([Buffer.alloc(4096), Buffer.alloc(1)]), isFault('too_large'));
      assert.equal(await log.append([Buffer.alloc(4096)]), 0);
      const last = log.append([Buffer.from('under way')]);
      await log.close();
      assert.equal(await last, 1);
      await assert.rejects(log.append([Buffer.from('x')]), isFault('unavailable'));
    });
  });
}

/** What the suite needs of a make of IngestLog. */
export interface LogHarness {
  /** Opens the same log, again and again; the one before is closed first. Takes records of up to 4 KiB; keeps about 1 KiB a file where it has files. */
  open(): Promise<IngestLog>;
}

/** Every make of IngestLog passes this. `harness` starts an empty log. */
export function logSuite(name: string, harness: () => Promise<LogHarness>): void {
  logWriterSuite(name, async () => {
    const { open } = await harness();
    let log: IngestLog;
    return {
      async open() {
        log = await open();
        return log;
      },
      records: (from) => recordsIn(log, from),
    };
  });
  describe(`ingest log: ${name}`, () => {
    test('ends behind the last record, also when it is opened again', async () => {
      const { open } = await harness();
      for (const round of numbers(3)) {
        const log = await open();
        assert.equal(log.end, round);
        await log.append([Buffer.from('x')]);
        assert.equal(log.end, round + 1);
        assert.deepEqual(await recordsIn(log, round + 1), []);
        await log.close();
      }
    });

    test('payloads are 8-aligned, so that columns in them can be read in place', async () => {
      const log = await (await harness()).open();
      for (const size of [1, 7, 8, 9, 500]) await log.append([Buffer.alloc(size)]);
      for await (const item of log.read(0)) assert.equal(item.kind === 'record' && item.bytes.byteOffset % 8, 0);
      await log.close();
    });

    test('trim drops nothing at or above its position, and the log does not start over', async () => {
      const { open } = await harness();
      const log = await open();
      for (const number of numbers(20)) await log.append([Buffer.alloc(300, number)]);
      const before = log.sizeBytes();
      await log.trim(13);
      assert.ok(log.sizeBytes() < before);
      assert.deepEqual(
        (await recordsIn(log, 13)).map(({ position }) => position),
        numbers(20).slice(13),
      );
      assert.ok((await recordsIn(log, 0))[0].position > 0);
      await log.trim(20);
      await log.close();
      const again = await open();
      assert.equal(again.end, 20);
      assert.equal(await again.append([Buffer.from('x')]), 20);
      await again.close();
    });

    test('trims at once do what the furthest of them asks for', async () => {
      const log = await (await harness()).open();
      for (const number of numbers(20)) await log.append([Buffer.alloc(300, number)]);
      await Promise.all([log.trim(8), log.trim(15), log.trim(11)]);
      const positions = (await recordsIn(log, 0)).map(({ position }) => position);
      assert.ok(positions[0] > 10 && positions[0] <= 15);
      assert.deepEqual(positions, numbers(20).slice(positions[0]));
      await log.close();
    });

    test('a reader sees the log as it was when it began, while appends and trims go on', async () => {
      const log = await (await harness()).open();
      for (const number of numbers(20)) await log.append([Buffer.alloc(300, number)]);
      const seen: Position[] = [];
      for await (const item of log.read(0)) {
        assert.equal(item.kind, 'record');
        if (item.kind !== 'record') continue;
        seen.push(item.position);
        await log.append([Buffer.alloc(300)]);
        if (item.position === 4) await log.trim(15);
      }
      assert.deepEqual(
        seen.filter((position) => position >= 15),
        [15, 16, 17, 18, 19],
      );
      await log.close();
    });
  });
}

/** All that a log gives from `from` on, the bytes copied. */
export async function itemsIn(log: IngestLog, from: Position = 0): Promise<(LogRecord | LogGap)[]> {
  const items: (LogRecord | LogGap)[] = [];
  for await (const item of log.read(from)) items.push(item.kind === 'record' ? { ...item, bytes: Buffer.from(item.bytes) } : item);
  return items;
}

/** The records of a log that must have no gap. */
export async function recordsIn(log: IngestLog, from: Position = 0): Promise<LogRecord[]> {
  return (await itemsIn(log, from)).map((item) => {
    if (item.kind === 'gap') throw new Error(`records [${item.from}, ${item.to}) are missing`);
    return item;
  });
}

const texts = (records: readonly LogRecord[]): string[] => records.map(({ position, bytes }) => `${position}:${bytes}`);
const positions = (records: readonly LogRecord[]): Position[] => records.map(({ position }) => position);
