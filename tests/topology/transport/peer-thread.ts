import { workerData } from 'node:worker_threads';
import { realWorld } from '../../../ops/base/world.ts';
import { Router } from '../../../topology/transport/thread.ts';
import { servePeer } from '../../support/transport-peer.ts';

/** A worker thread that serves the suite's peer. */
const world = realWorld();
const router = new Router({ world });
router.connect('main', workerData.port);
servePeer(router, world.clock);
