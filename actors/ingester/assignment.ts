import type { Ring } from '../../topology/ring/ring.ts';

/** One of those who share the partitions: a shard of a process. */
export interface GroupMember {
  /** In the group. */
  readonly id: string;
  readonly process: string;
  readonly shard: number;
}

/** Who gets which of the partitions 0 … `partitions` - 1: each goes to the process whose token is next to it, as far as that has room; nobody has many more than others. So it is the same for all who know the same
 *  ring, and when one comes or goes most of the others' stay where they are. Processes that leave the ring get none, unless there are only such. */
export function placePartitions(
  partitions: number,
  members: readonly GroupMember[],
  ring: Pick<Ring, 'instance' | 'owners'>,
): Map<string, number[]> {
  const staying = members.filter(({ process }) => ring.instance(process)?.state !== 'LEAVING');
  const eligible = (staying.length > 0 ? staying : [...members]).toSorted((a, b) => order(a.process, b.process) || a.shard - b.shard);
  const placed = new Map<string, number[]>(members.map(({ id }) => [id, []]));
  const most = Math.ceil(partitions / eligible.length);
  const ofProcess = Map.groupBy(eligible, ({ process }) => process);
  for (let partition = 0; partition < partitions; partition++) {
    // Those that the ring does not tell of come last.
    const processes = new Set([...ring.owners(partitionHash(partition)), ...ofProcess.keys()]);
    const member = [...processes]
      .flatMap((process) => leastLoaded(ofProcess.get(process) ?? [], placed) ?? [])
      .find(({ id }) => placed.get(id)!.length < most);
    if (member !== undefined) placed.get(member.id)!.push(partition);
  }
  return placed;
}

function leastLoaded(members: readonly GroupMember[], placed: ReadonlyMap<string, number[]>): GroupMember | undefined {
  return members.reduce<GroupMember | undefined>(
    (least, member) => (least === undefined || placed.get(member.id)!.length < placed.get(least.id)!.length ? member : least),
    undefined,
  );
}

/** A place in the ring for each partition: unsigned 32-bit. */
function partitionHash(partition: number): number {
  let hash = Math.imul(partition + 1, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
