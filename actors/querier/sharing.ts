import type { SharedGroup } from '../protocol/query.ts';
import type { GroupQueue } from './group-queue.ts';
import type { ScanGroup } from './scan-group.ts';
import type { GroupSkipper } from './skip.ts';
import type { StreamSources } from './sources.ts';

/** The scans of one querier's jobs that other queriers with a job of the same query may help with. */
export class Sharing {
  readonly #scans = new Map<string, SharedScan>();

  /** Runs a job that others may help with under this name from now on. */
  async during<T>(job: string, work: (shared: SharedScan) => Promise<T>): Promise<T> {
    const shared = new SharedScan();
    this.#scans.set(job, shared);
    try {
      return await work(shared);
    } finally {
      this.#scans.delete(job);
      shared.end();
    }
  }

  /** What the job can spare; waits for its scan to begin. Nothing if there is no such job, or not any more. */
  async spare(job: string): Promise<SharedGroup[]> {
    return (await this.#scans.get(job)?.spare()) ?? [];
  }
}

interface Source {
  readonly queue: GroupQueue;
  readonly skipper: GroupSkipper;
}

/** The scan of a job, as others see it. */
export class SharedScan {
  /** Whether groups were given away or taken over. Then the plans of several jobs are one: none of them may start over alone. */
  isMixed = false;
  readonly #begun = Promise.withResolvers<void>();
  #source: Source | undefined;

  /** From now on groups are given away. */
  open(queue: GroupQueue, skipper: GroupSkipper): void {
    this.#source = { queue, skipper };
    this.#begun.resolve();
  }

  /** From now on none are. */
  close(): void {
    this.#source = undefined;
  }

  /** Nobody waits for a beginning any more. */
  end(): void {
    this.#begun.resolve();
  }

  async spare(): Promise<SharedGroup[]> {
    await this.#begun.promise;
    if (this.#source === undefined) return [];
    const { queue, skipper } = this.#source;
    const groups = queue.split();
    if (groups.length > 0) this.isMixed = true;
    const wanted: SharedGroup[] = [];
    for (const group of groups) {
      const units = await skipper.left(group);
      if (units.length > 0) wanted.push(sharedGroup({ ...group, units }));
    }
    return wanted;
  }
}

function sharedGroup({ stream: { labels, hash }, units, minNs, maxNs, within }: ScanGroup): SharedGroup {
  const stored = units.flatMap((unit) => (unit.kind === 'stored' ? [unit] : []));
  return {
    labels,
    hash,
    minNs,
    maxNs,
    ...(within && { within }),
    units: stored.map(({ source, minNs, maxNs, key, chunk, block, at }) => ({
      source,
      minNs,
      maxNs,
      key,
      chunk: { ...chunk, blocks: [] },
      block,
      at,
    })),
  };
}

/** What was taken over, with its streams as `streamOf` has them. The giver has asked the skip filters. */
export function takenOver(groups: readonly SharedGroup[], streamOf: (group: SharedGroup) => StreamSources): ScanGroup[] {
  return groups.map((group) => ({
    stream: streamOf(group),
    minNs: group.minNs,
    maxNs: group.maxNs,
    ...(group.within && { within: group.within }),
    units: group.units.map((unit) => ({ ...unit, kind: 'stored' as const, filters: [] })),
  }));
}
