import { fakeWorld } from '../../../ops/base/world-fake.ts';
import { MemoryBlobStore } from '../../../storage/blob/memory.ts';
import { blobSuite } from '../../support/blob-suite.ts';

blobSuite('memory', async () => new MemoryBlobStore(fakeWorld(1).clock));
