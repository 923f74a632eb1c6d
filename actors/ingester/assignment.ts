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
  const eligible = (staying.length > 0 ? staying : [...members]).toSorted(
    (a, b) => order(a.process, b.process) || a.shard - b.shard || order(a.id, b.id),
  );
  const placed = new Map<string, number[]>(members.map(({ id }) => [id, []]));
  const most = Math.ceil(partitions / eligible.length);
  const ofProcess = Map.groupBy(eligible, ({ process }) => process);
  for (let partition = 0; partition < partitions; partition++) {
    // Those that the ring does not tell of come last.
    const processes = new Set([...ring.owners(mixed(partition)), ...ofProcess.keys()]);
    const member = [...processes]
      .flatMap((process) => inOrder(ofProcess.get(process) ?? [], partition))
      .find(({ id }) => placed.get(id)!.length < most);
    if (member !== undefined) placed.get(member.id)!.push(partition);
  }
  return placed;
}

/** Shards of a process as they come for a partition: another one comes first for each, and the same ones for the same, however many others there are. */
function inOrder(members: readonly GroupMember[], partition: number): GroupMember[] {
  const place = ({ shard }: GroupMember): number => mixed(Math.imul(mixed(partition), 31) + shard);
  return members.toSorted((a, b) => place(a) - place(b));
}

/** Unsigned 32-bit, as a place in the ring. */
function mixed(number: number): number {
  let hash = Math.imul(number + 1, 0x9e3779b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
