import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { compressSync } from 'snappy';
import { decodePush } from '../../actors/distributor/decode-push.ts';
import { levelFinder } from '../../actors/distributor/enrich.ts';
import { StreamCache } from '../../actors/distributor/stream-cache.ts';
import { limitsOptions } from '../../actors/limits.ts';
import { formatLabels, toLabels } from '../../logql/model.ts';
import { Fault } from '../../ops/base/fault.ts';
import { defaultsOf } from '../../ops/base/options.ts';
import { Batch } from '../../storage/batch/batch.ts';
import { JsonScanner } from '../../storage/batch/json-scanner.ts';
import { parseLabelText, readLabels } from '../../storage/batch/labels-text.ts';
import type { OtlpMapping } from '../../storage/batch/otlp-records.ts';
import type { Target } from './fuzzer.ts';

const LIMITS = { ...defaultsOf(limitsOptions), rejectOldSamples: false };
const OTLP: OtlpMapping = { indexLabels: new Set(['service.name', 'k8s.pod.name']) };
const NOW = Date.parse('2026-01-15T10:30:00Z');
const MAX_BYTES = 1024 * 1024;

/** Decodes a push and checks that its batches are whole, hold what is said of them and are not much larger than what may come in. */
function push(body: Buffer, contentType: string, contentEncoding: string, otlp?: OtlpMapping): void {
  const request = {
    ...{ tenant: 'fuzz', body, contentType, contentEncoding, nowMs: NOW, maxDecompressedBytes: MAX_BYTES },
    ...(otlp === undefined ? {} : { otlp }),
  };
  const decoded = decodePush(request, LIMITS, new StreamCache());
  let rows = 0;
  let size = 0;
  for (const { bytes, hash } of decoded.batches) {
    const batch = new Batch(bytes);
    assert.equal(batch.hash, hash);
    assert.equal(batch.ends().at(-1), batch.lineBytes);
    for (const { values, index } of batch.metadata()) assert.ok(index.every((number) => number <= values.length));
    rows += batch.rows;
    size += bytes.length;
  }
  assert.equal(rows, decoded.lines);
  assert.equal(decoded.fault !== undefined, decoded.discarded.length > 0);
  assert.ok(size <= 16 * MAX_BYTES, `${size} bytes`);
}

/** JSON.parse takes what the scanner takes, and the other way round. */
function grammar(bytes: Buffer): void {
  if (!isUtf8(bytes)) return;
  let scanned = true;
  try {
    const scanner = new JsonScanner(bytes);
    scanner.skip();
    scanned = scanner.peek() === -1;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.message.includes('nested deeper')) return;
    scanned = false;
  }
  let parsed = true;
  try {
    JSON.parse(bytes.toString('utf8'));
  } catch {
    parsed = false;
  }
  const byteOrderMark = bytes[0] === 0xef; // which toString takes away
  if (!byteOrderMark) assert.equal(scanned, parsed);
}

/** Whatever labels are read, their canonical text reads back as the same. */
function labels(form: 'text' | 'json', bytes: Buffer): void {
  const canonical = toLabels(readLabels(form, bytes, 0, bytes.length));
  assert.deepEqual(toLabels(parseLabelText(formatLabels(canonical))), canonical);
}

export const pushTargets: readonly Target[] = [
  { name: 'json push', corpus: 'json-push', run: (bytes) => push(bytes, 'application/json', '') },
  { name: 'protobuf push', corpus: 'proto-push', run: (bytes) => push(compressSync(bytes), 'application/x-protobuf', '') },
  { name: 'otlp protobuf', corpus: 'otlp-proto', run: (bytes) => push(bytes, 'application/x-protobuf', '', OTLP) },
  { name: 'otlp json', corpus: 'otlp-json', run: (bytes) => push(bytes, 'application/json', '', OTLP) },
  { name: 'otlp deflate body', corpus: 'otlp-deflate', run: (bytes) => push(bytes, 'application/x-protobuf', 'deflate', OTLP) },
  { name: 'snappy body', corpus: 'snappy', run: (bytes) => push(bytes, 'application/x-protobuf', '') },
  { name: 'gzip body', corpus: 'gzip', run: (bytes) => push(bytes, 'application/json', 'gzip') },
  { name: 'deflate body', corpus: 'deflate', run: (bytes) => push(bytes, 'application/json', 'deflate') },
  { name: 'zstd body', corpus: 'zstd', run: (bytes) => push(bytes, 'application/json', 'zstd') },
  { name: 'json grammar', corpus: 'json-push', run: grammar },
  { name: 'label text', corpus: 'label-text', run: (bytes) => labels('text', bytes) },
  { name: 'json labels', corpus: 'json-labels', run: (bytes) => labels('json', bytes) },
  {
    name: 'level of a line',
    corpus: 'lines',
    run: (bytes) => {
      levelFinder(LIMITS).find(bytes, 0, bytes.length);
    },
  },
  {
    name: 'batch',
    corpus: 'batch',
    run: (bytes) => {
      const batch = new Batch(bytes);
      batch.metadata();
      assert.equal(batch.times().length, batch.ends().length);
    },
  },
];
