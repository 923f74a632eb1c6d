import type { Asker } from '../../actors/kernel/define.ts';
import { ingesterProtocol } from '../../actors/protocol/ingest.ts';
import type { Kv } from '../../topology/ring/kv.ts';
import { Member, type MemberWork } from '../../topology/ring/member.ts';
import { Fault } from '../base/fault.ts';
import type { Logger } from '../base/instruments.ts';
import type { World } from '../base/world.ts';
import { type ClusterSettings, INGESTER_RING } from './options.ts';

export interface MembershipDeps {
  readonly settings: ClusterSettings;
  readonly kv: Kv;
  readonly asker: Asker;
  /** The ingesters of this process, one for each shard. */
  readonly ingesters: readonly string[];
  /** Whether all threads of this process do their work. */
  readonly ready: () => Promise<{ readonly ready: boolean; readonly reason: string }>;
  readonly url: string;
  readonly world: World;
  readonly log: Logger;
  /** Another process is this instance now: this one has to end. */
  readonly onReplaced: () => void;
}

const READY_POLL_MS = 100;
const FLUSH_TIMEOUT_MS = 300_000;

/** This process's part in the ring of the ingesters. */
export function joinIngesterRing(deps: MembershipDeps): Member {
  const { settings, kv, ingesters, url, world, log, onReplaced } = deps;
  const { instance, zone, ring } = settings;
  const work: MemberWork = {
    // A process counts once it has replayed what it had.
    async catchUp(signal) {
      while (!(await deps.ready()).ready) await world.timers.sleep(READY_POLL_MS, signal);
    },
    handOver: () => Promise.reject(new Fault('unsupported', 'heads are flushed')),
    async flush(signal) {
      const deadlineMs = world.clock.monotonicMs() + FLUSH_TIMEOUT_MS;
      await Promise.all(
        ingesters.map((ingester) => deps.asker.ask(ingesterProtocol, ingester, { kind: 'flush' }, { tenant: '', deadlineMs, signal })),
      );
    },
  };
  const member = new Member({
    kv,
    world,
    log,
    work,
    id: instance,
    zone,
    shards: ingesters.length,
    url,
    tokenCount: ring.numTokens,
    heartbeatMs: ring.heartbeatPeriod,
    heartbeatTimeoutMs: ring.heartbeatTimeout,
    onState: (state) => {
      log.info('state in the ring', { ring: INGESTER_RING, instance, state });
      if (state === 'REPLACED') onReplaced();
    },
  });
  return member;
}
