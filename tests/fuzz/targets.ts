import type { Target } from './fuzzer.ts';
import { jsonLineTargets } from './json-lines.ts';
import { pushTargets } from './push.ts';
import { queryTargets } from './query.ts';
import { storageTargets } from './storage.ts';

/** Every decoder that reads bytes from outside or from disk. */
export const targets: readonly Target[] = [...pushTargets, ...queryTargets, ...jsonLineTargets, ...storageTargets];
