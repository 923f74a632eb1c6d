import type { MemoryBudget } from '../../logql/engine/memory-budget.ts';
import type { Block, BlockOutline, Labels } from '../../logql/model.ts';
import { MiB } from '../../ops/base/bytes.ts';
import type { World } from '../../ops/base/world.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import { StoredBlock } from '../../storage/chunk/block.ts';
import type { MemoryBlock } from '../../storage/chunk/memory-block.ts';
import { mergeBlocks, mergeInWindows } from '../../storage/chunk/merge.ts';
import type { ScanStats } from '../protocol/query.ts';
import type { Slices } from '../turns.ts';
import { GroupQueue } from './group-queue.ts';
import { Pace, piecesOf } from './pieces.ts';
import { type KnownApart, mayRepeat } from './repeats.ts';
import { CUT_AT_ONCE, groupMemory, isCut, isMerged, outlineOf, rowMemory, type ScanGroup, type TimeRange } from './scan-group.ts';
import type { SharedScan } from './sharing.ts';
import { GroupSkipper, type ScanNeeds } from './skip.ts';
import { type BlockSource, loadUnit, type SourceUnit, type StreamSources } from './sources.ts';
import { inWindows } from './windows.ts';

/** How many groups are being fetched while one is scanned. */
const READ_AHEAD = 4;
/** None is while those that are ahead take so much. */
const READ_AHEAD_BYTES = 16 * MiB;
/** Takes in what is scanned. */
export interface Scanner {
  /** Groups, and the rows of one, come in the order of time; this way round. */
  readonly backward: boolean;
  /** Whether no line of a block with this outline is looked at: then lines are not fetched. They are if absent. */
  lineless?(outline: BlockOutline): boolean;
  /** Whether it does not matter when blocks with this outline come: then overlapping units that cannot repeat each other come one by one, without regard to time.
   *  Those without lines do if absent. */
  unordered?(outline: BlockOutline): boolean;
  /** Looks at lines in ways of which nobody knows how long they take: then even a block comes in pieces. */
  readonly demanding?: boolean;
  /** What entries must have to matter: groups without it, as far as skip filters tell, are not fetched. */
  readonly needs?: ScanNeeds;
  /** Whether a group can still matter; asked before it is fetched, and again before it is scanned. */
  wanted(group: ScanGroup): boolean;
  /** Whether the outline of a whole group tells enough: then it is neither fetched nor scanned. */
  header(group: ScanGroup, outline: BlockOutline): boolean;
  /** The block, and its lines above all, is borrowed until this returns. */
  block(group: ScanGroup, block: Block): void;
}

export interface ScanDeps extends BlockSource {
  readonly world: World;
  readonly slices: Slices;
  readonly stats: ScanStats;
  readonly knownApart: KnownApart;
  /** Blocks that were fetched and not scanned yet count here. */
  readonly memory: MemoryBudget;
}

/** Feeds the groups' blocks to `scanner` in the order given, but for those that `shared` gives away. */
export async function scan(given: readonly ScanGroup[], deps: ScanDeps, scanner: Scanner, shared?: SharedScan): Promise<void> {
  const { world, slices, stats } = deps;
  const groups = given.flatMap((group) => (isMerged(group) ? parts(group, deps, scanner) : group));
  const pace = new Pace(scanner.demanding === true);
  const skipper = new GroupSkipper(groups, scanner.needs, deps);
  const queue = new GroupQueue(groups);
  shared?.open(queue, skipper);
  const ahead: { group: ScanGroup; loaded: Promise<LoadedGroup>; sizeBytes: number }[] = [];
  let aheadBytes = 0;
  try {
    for (;;) {
      while (ahead.length < READ_AHEAD && aheadBytes < READ_AHEAD_BYTES) {
        const group = queue.take();
        if (group === undefined) break;
        if (!scanner.wanted(group)) stats.blocksSkipped += group.units.length;
        else if (isMerged(group) || !scanner.header(group, outlineOf(group.units[0]))) {
          const askedMs = world.clock.monotonicMs();
          const units = await slices.waiting(skipper.left(group));
          stats.fetchMs += world.clock.monotonicMs() - askedMs;
          stats.blocksFiltered += group.units.length - units.length;
          if (units.length === 0) {
            // What is at hand may be all that is wanted: filters of the whole range are not asked before it was scanned.
            if (ahead.length > 0) break;
          } else {
            const left = units.length === group.units.length ? group : { ...group, units };
            const sizeBytes = groupMemory(left);
            deps.memory.take(sizeBytes);
            aheadBytes += sizeBytes;
            const loaded = loadGroup(left, deps, scanner, sizeBytes);
            loaded.catch(() => {}); // rejected again where it is awaited, or not needed any more
            ahead.push({ group: left, loaded, sizeBytes });
          }
        }
        await slices.giveWay();
      }
      const head = ahead.shift();
      if (head === undefined) return;
      aheadBytes -= head.sizeBytes;
      const askedMs = world.clock.monotonicMs();
      const { blocks, repeat, moreBytes } = await slices.waiting(head.loaded);
      stats.fetchMs += world.clock.monotonicMs() - askedMs;
      if (!scanner.wanted(head.group)) {
        stats.blocksSkipped += head.group.units.length;
        deps.memory.give(head.sizeBytes + moreBytes);
        continue;
      }
      for (const block of repeat ? merged(blocks, scanner.backward, head.group.within) : takenOut(blocks)) {
        if (repeat) {
          stats.duplicates += (block as MemoryBlock).duplicates;
          await slices.giveWay();
        }
        if (isMerged(head.group) && scanner.header(head.group, block)) continue;
        for (const piece of piecesOf(block, scanner.backward, pace)) {
          const startMs = world.clock.monotonicMs();
          scanner.block(head.group, piece);
          const tookMs = world.clock.monotonicMs() - startMs;
          stats.scanMs += tookMs;
          pace.took(piece.lineBytes, tookMs);
          await slices.giveWay();
        }
      }
      deps.memory.give(head.sizeBytes + moreBytes);
    }
  } finally {
    shared?.close();
    await Promise.allSettled([skipper.settled(), ...ahead.map(({ loaded }) => loaded)]);
  }
}

/** One block after the other, none of them held any longer than it is looked at. */
function* takenOut(blocks: Block[]): Generator<Block> {
  for (let block = blocks.shift(); block !== undefined; block = blocks.shift()) {
    yield block;
    releaseLines(block);
  }
}

function* merged(blocks: readonly Block[], backward: boolean, within: TimeRange | undefined): Generator<MemoryBlock> {
  yield* mergeInWindows(blocks, backward, {}, within);
  blocks.forEach(releaseLines);
}

function releaseLines(block: Block): void {
  if (block instanceof StoredBlock) block.release();
}

interface LoadedGroup {
  readonly blocks: Block[];
  /** Whether entries may be in several of them, so that they are to be merged. */
  readonly repeat: boolean;
  /** Of memory that was taken for them beside what was expected. */
  readonly moreBytes: number;
}

function isLineless({ units }: ScanGroup, scanner: Scanner): boolean {
  return units.every((unit) => scanner.lineless?.(outlineOf(unit)) === true);
}

function isUnordered(group: ScanGroup, scanner: Scanner): boolean {
  return isLineless(group, scanner) || group.units.every((unit) => scanner.unordered?.(outlineOf(unit)) === true);
}

/** Units of which it is known that they cannot repeat each other, each by itself, if their order does not matter; otherwise as much as is merged at once. */
function parts(group: ScanGroup, { knownApart }: ScanDeps, scanner: Scanner): ScanGroup[] {
  const { stream, units, within } = group;
  if (within !== undefined) return [group];
  if (isUnordered(group, scanner) && knownApart.has(units))
    return units.map((unit) => ({ stream, units: [unit], minNs: unit.minNs, maxNs: unit.maxNs }));
  const windows = inWindows(group);
  return scanner.backward ? windows.reverse() : windows;
}

async function loadGroup(group: ScanGroup, deps: ScanDeps, scanner: Scanner, sizeBytes: number): Promise<LoadedGroup> {
  const { units, within } = group;
  const lineless = isLineless(group, scanner);
  if (within !== undefined && !lineless) return loadWithin(units, within, deps, sizeBytes);
  const load = (lines: boolean): Promise<Block[]> => Promise.all(units.map((unit) => loadUnit(unit, deps, lines)));
  const blocks = await load(!lineless);
  if (!isMerged(group)) return { blocks, repeat: false, moreBytes: 0 };
  if (isUnordered(group, scanner) && !mayRepeat(blocks.map((block, index) => ({ block, source: units[index].source })))) {
    deps.knownApart.add(units);
    if (within === undefined) return { blocks, repeat: false, moreBytes: 0 };
  }
  if (within !== undefined) return loadWithin(units, within, deps, sizeBytes);
  return { blocks: lineless ? await load(true) : blocks, repeat: true, moreBytes: 0 };
}

/** Blocks of hours do not fit in memory all together: of those with other rows too only the rows of the range are kept, for which `sizeBytes` are taken already. */
async function loadWithin(
  units: readonly SourceUnit[],
  { fromNs, toNs }: TimeRange,
  deps: ScanDeps,
  sizeBytes: number,
): Promise<LoadedGroup> {
  let bytes = 0;
  let moreBytes = 0;
  const load = async (unit: SourceUnit): Promise<Block> => {
    const block = await loadUnit(unit, deps, true);
    let rows = block;
    if (unit.kind === 'stored' && isCut(unit, fromNs, toNs)) {
      rows = mergeBlocks([block], Number(fromNs - block.baseNs), Number(toNs - block.baseNs));
      releaseLines(block);
    }
    if (unit.kind === 'stored') bytes += rowMemory(rows);
    // Rows need not be spread evenly.
    if (bytes > sizeBytes + moreBytes) {
      deps.memory.take(bytes - sizeBytes - moreBytes);
      moreBytes = bytes - sizeBytes;
    }
    return rows;
  };
  const blocks: Block[] = [];
  for (let at = 0; at < units.length; at += CUT_AT_ONCE)
    blocks.push(...(await Promise.all(units.slice(at, at + CUT_AT_ONCE).map(load))).filter(({ rows }) => rows > 0));
  return { blocks, repeat: true, moreBytes };
}

/** The execution of a group's stream, which `open` makes when its first block comes. */
export function openedOnce<E>(open: (labels: Labels) => E): (group: ScanGroup) => E {
  const executions = new Map<StreamSources, E>();
  return ({ stream }) => {
    let execution = executions.get(stream);
    if (execution === undefined) {
      execution = open(parseCanonicalLabels(stream.labels));
      executions.set(stream, execution);
    }
    return execution;
  };
}
