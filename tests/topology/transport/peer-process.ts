import { realWorld } from '../../../ops/base/world.ts';
import { servePeer } from '../../support/transport-peer.ts';
import { openNatsTransport } from './nats-open.ts';

const { transport, brokers } = await openNatsTransport(process.argv[2], process.argv[3]);
servePeer(transport, realWorld().clock);
await Promise.all(brokers.map(({ connection }) => connection.flush()));
process.send?.('serving');
