import assert from 'node:assert/strict';
import { readRecords, sealOf } from '../../storage/log/record.ts';
import { decodeAll } from '../storage/segment/decode-all.ts';
import type { Target } from './fuzzer.ts';

const GOLDEN_LOG = '00112233445566778899aabbccddeeff';

export const storageTargets: readonly Target[] = [
  {
    name: 'ingest log file',
    corpus: 'log',
    run(bytes) {
      // Damage takes up no more than the file, and what is read is a part of it.
      let size = 0;
      for (const item of readRecords(bytes, sealOf(GOLDEN_LOG, 1))) size += item.kind === 'record' ? item.bytes.length : item.sizeBytes;
      assert.ok(size <= bytes.length);
    },
  },
  {
    name: 'segment',
    corpus: 'segment',
    async run(bytes) {
      await decodeAll(bytes);
    },
  },
];
