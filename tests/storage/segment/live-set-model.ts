import { Closure } from '../../../storage/segment/closure.ts';
import { type ListedLevelZero, levelZeroGarbage, type Seen, type Survey, segmentGarbage } from '../../../storage/segment/garbage.ts';
import { levelZeroKey, parseLevelZeroKey } from '../../../storage/segment/keys.ts';
import { type ListedSegment, type LiveSet, liveSet, standIn } from '../../../storage/segment/live-set.ts';

/** What readers, compactors and the collector go by. */
export interface Rules {
  /** What a segment made of the inputs says that it stands for. */
  readonly closure: (inputs: readonly Input[]) => Closure;
  readonly live: (segments: readonly ListedSegment[]) => LiveSet<ListedSegment>;
  /** The listed segment because of which a level-0 part does not count. */
  readonly standIn: (set: LiveSet<ListedSegment>, listed: readonly ListedSegment[], log: string, from: number) => ListedSegment | undefined;
  /** Whether all that a compaction merges is of one level. */
  readonly oneLevel: boolean;
  /** Whether a compaction looks again just before it puts. */
  readonly looksAgain: boolean;
  readonly graceMs: number;
  /** The order in which the collector deletes segments. */
  readonly order: (segments: readonly string[]) => readonly string[];
}

/** A level-0 object's position, or a segment. */
export type Input = number | ListedSegment;

const LOG = 'w';
const GRACE_MS = 1_000;
/** The clock of a state: what is old was created a grace before, what is young was not. */
const NOW_MS = 2_000;

export const shipped: Rules = {
  closure: (inputs) =>
    Closure.union(
      inputs.map((input) =>
        typeof input === 'number'
          ? Closure.of([{ log: LOG, from: input }], [])
          : Closure.union([input.closure, Closure.of([], [input.key])]),
      ),
    ),
  live: liveSet,
  standIn: (set, _listed, log, from) => standIn(set, log, from),
  oneLevel: true,
  looksAgain: true,
  graceMs: GRACE_MS,
  order: (keys) => keys,
};

/** What is explored. */
export interface Scope {
  /** Of each level-0 object its days, as `a0`: tenant a, day 0. */
  readonly inputs: readonly (readonly string[])[];
  /** How many compactions each compactor begins at most. */
  readonly compactions: readonly number[];
  /** How often time goes on by more than the grace. */
  readonly graces: number;
  /** How many inputs a compaction has. */
  readonly mostInputs: number;
  /** Whether a put may take any time to land, or never land; otherwise it lands at once. */
  readonly latePuts?: boolean;
}

/** A segment that was ever made, whether it is in storage or not. */
interface Made extends ListedSegment {
  readonly day: string;
}

interface Compactor {
  readonly left: number;
  /** What it has begun, and whether its first listing is too old by now. */
  readonly planned: { readonly made: Made; readonly inputs: readonly string[]; readonly stale: boolean } | undefined;
}

interface State {
  /** Positions of the level-0 objects in storage. */
  readonly levelZero: readonly number[];
  /** In storage, in the order of their creation; the first `old` of them are older than the grace. */
  readonly segments: readonly Made[];
  readonly old: number;
  /** Puts under way: each lands some time, or never. */
  readonly flying: readonly Made[];
  readonly compactors: readonly Compactor[];
  /** What the collector has decided to delete, in that order. */
  readonly garbage: readonly string[];
  /** What counted in some listing that is no older than the grace: it may be read now. */
  readonly read: readonly string[];
  readonly graces: number;
}

/** Goes through every order of events within the scope: compactions that begin, look again and put; puts that land late; the collector's decisions and deletions,
 *  each of which may be its last before it starts anew; time. Returns how many states there are, and the way to the first that is wrong. */
export function explore(scope: Scope, rules: Rules, mostStates = Number.POSITIVE_INFINITY): { states: number; wrong?: readonly string[] } {
  return new Exploration(scope, rules).run(mostStates);
}

/** What a listing says of a day. */
interface Day {
  readonly set: LiveSet<Made>;
  /** Positions of level-0 objects whose parts count. */
  readonly levelZero: readonly number[];
  /** Keys of all that counts. */
  readonly live: readonly string[];
  readonly problem: string | undefined;
}

class Exploration {
  readonly #scope: Scope;
  readonly #rules: Rules;
  readonly #days: readonly string[];
  readonly #known = new Map<string, Day>();
  readonly #made = new Map<string, Made>();

  constructor(scope: Scope, rules: Rules) {
    this.#scope = scope;
    this.#rules = rules;
    this.#days = [...new Set(scope.inputs.flat())].sort();
  }

  run(mostStates: number): { states: number; wrong?: readonly string[] } {
    const first = this.#reading({
      levelZero: this.#scope.inputs.map((_, index) => index),
      segments: [],
      old: 0,
      flying: [],
      compactors: this.#scope.compactions.map((left) => ({ left, planned: undefined })),
      garbage: [],
      read: [],
      graces: 0,
    });
    const cameFrom = new Map<string, { from: string; event: string }>([[keyOf(first), { from: '', event: 'start' }]]);
    const queue = [first];
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      const here = keyOf(state);
      for (const { event, next, wrong } of this.#steps(state)) {
        const key = keyOf(next);
        const known = cameFrom.has(key);
        if (!known) cameFrom.set(key, { from: here, event });
        const problem = wrong ?? (known ? undefined : this.#problem(next));
        if (problem !== undefined) return { states: cameFrom.size, wrong: [...wayTo(here, cameFrom), event, problem] };
        if (!known) queue.push(next);
      }
      if (cameFrom.size > mostStates) throw new Error(`more than ${mostStates} states`);
    }
    return { states: cameFrom.size };
  }

  *#steps(state: State): Generator<{ event: string; next: State; wrong?: string }> {
    for (const [index, { left, planned }] of state.compactors.entries()) {
      const become = (compactor: Compactor): Pick<State, 'compactors'> => ({ compactors: state.compactors.with(index, compactor) });
      if (planned !== undefined) {
        const { made, inputs, stale } = planned;
        const idle = become({ left, planned: undefined });
        const may = !this.#rules.looksAgain || (!stale && inputs.every((input) => this.#counts(state, made.day, input)));
        const { latePuts = true } = this.#scope;
        const event = `compactor ${index} puts ${made.key}`;
        if (may && latePuts) yield { event, next: { ...state, ...idle, flying: sorted([...state.flying, made]) } };
        else if (may) yield { event, next: this.#landed({ ...state, ...idle }, made) };
        else yield { event: `compactor ${index} gives up ${made.key}`, next: { ...state, ...idle } };
      } else if (left > 0) {
        for (const plan of this.#plans(state))
          yield {
            event: `compactor ${index} begins ${plan.made.key}`,
            next: { ...state, ...become({ left: left - 1, planned: { ...plan, stale: false } }) },
          };
      }
    }
    for (const [index, made] of state.flying.entries()) {
      const flying = state.flying.toSpliced(index, 1);
      yield { event: `the put of ${made.key} lands`, next: this.#landed({ ...state, flying }, made) };
    }
    const garbage = this.#garbage(state);
    if (garbage.join() !== state.garbage.join()) yield { event: `the collector decides on ${garbage}`, next: { ...state, garbage } };
    const [doomed, ...rest] = state.garbage;
    if (doomed !== undefined) yield this.#deletion(state, doomed, rest);
    if (state.graces < this.#scope.graces) {
      const compactors = state.compactors.map(({ left, planned }) => ({ left, planned: planned && { ...planned, stale: true } }));
      const next = { ...state, old: state.segments.length, graces: state.graces + 1, read: [], compactors };
      yield { event: 'a grace goes by', next: this.#reading(next) };
    }
  }

  #landed(state: State, made: Made): State {
    const there = state.segments.some(({ key }) => key === made.key);
    return there ? state : this.#reading({ ...state, segments: [...state.segments, made] });
  }

  #deletion(state: State, doomed: string, garbage: readonly string[]): { event: string; next: State; wrong?: string } {
    const position = parseLevelZeroKey(doomed)?.from;
    const at = state.segments.findIndex(({ key }) => key === doomed);
    const next = {
      ...state,
      garbage,
      levelZero: state.levelZero.filter((from) => from !== position),
      segments: state.segments.filter(({ key }) => key !== doomed),
      old: state.old - (at >= 0 && at < state.old ? 1 : 0),
    };
    const readNow = state.read.includes(doomed);
    return { event: `${doomed} is deleted`, next: this.#reading(next), ...(readNow && { wrong: `${doomed} is deleted under a reader` }) };
  }

  /** What may be begun: some of what counts on a day. */
  *#plans(state: State): Generator<{ made: Made; inputs: readonly string[] }> {
    for (const day of this.#days) {
      const { set, levelZero } = this.#dayOf(state, day);
      const byLevel = Map.groupBy<number, Input>([...levelZero, ...set.accepted], (input) =>
        this.#rules.oneLevel ? (typeof input === 'number' ? 0 : input.level) : 0,
      );
      for (const group of byLevel.values()) {
        for (const inputs of subsets(group, this.#scope.mostInputs)) {
          // A lone segment would only be copied.
          if (inputs.length === 1 && typeof inputs[0] !== 'number') continue;
          yield {
            made: this.#make(day, inputs),
            inputs: inputs.map((input) => (typeof input === 'number' ? levelZeroKey(LOG, input) : input.key)),
          };
        }
      }
    }
  }

  #make(day: string, inputs: readonly Input[]): Made {
    const level = 1 + Math.max(...inputs.map((input) => (typeof input === 'number' ? 0 : input.level)));
    const key = `${day}.${level}(${inputs.map((input) => (typeof input === 'number' ? input : input.key)).join(' ')})`;
    let made = this.#made.get(key);
    if (made === undefined) {
      made = { key, day, level, createdMs: 0, closure: this.#rules.closure(inputs), cover: new Map() };
      this.#made.set(key, made);
    }
    return made;
  }

  #counts(state: State, day: string, key: string): boolean {
    return this.#dayOf(state, day).live.includes(key);
  }

  #levelZeroOf(state: State, day: string): number[] {
    return state.levelZero.filter((from) => this.#scope.inputs[from].includes(day));
  }

  /** The day's segments, each with the time of its creation. */
  #listed({ segments, old }: State, day: string): Made[] {
    const of = segments.map((made, index) => ({ ...made, createdMs: (index < old ? 0 : NOW_MS - GRACE_MS) + index + 1 }));
    return of.filter((made) => made.day === day);
  }

  #dayOf(state: State, day: string): Day {
    let key = `${day}|${state.levelZero}`;
    for (const [index, made] of state.segments.entries())
      if (made.day === day) key += `|${made.key}@${index}${index < state.old ? '' : '!'}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      const listed = this.#listed(state, day);
      const set = this.#rules.live(listed) as LiveSet<Made>;
      const levelZero = this.#levelZeroOf(state, day).filter((from) => this.#rules.standIn(set, listed, LOG, from) === undefined);
      const live = [...set.accepted.map((segment) => segment.key), ...levelZero.map((from) => levelZeroKey(LOG, from))];
      known = { set, levelZero, live, problem: this.#problemOf(day, set, levelZero) };
      this.#known.set(key, known);
    }
    return known;
  }

  /** Every part of the day counts once, itself or in a segment that was made from it. */
  #problemOf(day: string, { accepted }: LiveSet<Made>, levelZero: readonly number[]): string | undefined {
    for (const [from, days] of this.#scope.inputs.entries()) {
      if (!days.includes(day)) continue;
      const times = (levelZero.includes(from) ? 1 : 0) + accepted.filter(({ key }) => partsIn(key).has(from)).length;
      if (times !== 1) return `part ${from} of ${day} counts ${times} times: ${accepted.map(({ key }) => key)}`;
    }
    return undefined;
  }

  #garbage(state: State): string[] {
    const { graceMs, order } = this.#rules;
    const objects = state.levelZero.map(
      (from): ListedLevelZero => ({
        key: levelZeroKey(LOG, from),
        log: LOG,
        from,
        to: from + 1,
        seenMs: 0,
        parts: this.#scope.inputs[from].map((day) => ({ tenant: day[0], day: Number(day[1]) })),
      }),
    );
    // A newer object follows, so that all of these may go.
    const last = { key: 'last', log: LOG, from: 99, to: 100, seenMs: 0, parts: [] };
    const survey: Survey = {
      levelZero: [...objects, last],
      live: (tenant, day) => seen(this.#withStandIns(state, `${tenant}${day}`)),
      nowMs: NOW_MS,
      graceMs,
    };
    const segments = this.#days.flatMap((day) => segmentGarbage(seen(this.#dayOf(state, day).set), survey));
    return [...order([...levelZeroGarbage(survey), ...segments])];
  }

  /** Where the rules have another idea of what stands in for a level-0 part, a set that says the same to the shipped functions. */
  #withStandIns(state: State, day: string): LiveSet<ListedSegment> {
    const { set } = this.#dayOf(state, day);
    if (this.#rules.standIn === shipped.standIn) return set;
    const listed = this.#listed(state, day);
    const standIns = this.#levelZeroOf(state, day).flatMap((from) => {
      const segment = this.#rules.standIn(set, listed, LOG, from);
      return segment === undefined ? [] : [{ ...segment, closure: Closure.of([{ log: LOG, from }], []) }];
    });
    return { accepted: standIns, obstacles: set.obstacles };
  }

  /** `state`, of which somebody takes a listing. */
  #reading(state: State): State {
    const live = this.#days.flatMap((day) => this.#dayOf(state, day).live);
    return { ...state, read: [...new Set([...state.read, ...live])].sort() };
  }

  #problem(state: State): string | undefined {
    for (const day of this.#days) {
      const { problem } = this.#dayOf(state, day);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

/** The level-0 parts whose entries are in a segment, whatever its closure says. */
function partsIn(key: string): Set<number> {
  const inner = key.slice(key.indexOf('(')).replaceAll(/[a-z]\d\.\d+/g, '');
  return new Set([...inner.matchAll(/\d+/g)].map(([number]) => Number(number)));
}

function* subsets<T>(items: readonly T[], most: number, from = 0): Generator<T[]> {
  if (most === 0) return;
  for (let first = from; first < items.length; first++) {
    yield [items[first]];
    for (const rest of subsets(items, most - 1, first + 1)) yield [items[first], ...rest];
  }
}

const sorted = (made: readonly Made[]): Made[] => [...made].sort((a, b) => (a.key < b.key ? -1 : 1));

function keyOf({ levelZero, segments, old, flying, compactors, garbage, read, graces }: State): string {
  const keys = (made: readonly Made[]): string => made.map(({ key }) => key).join();
  const actors = compactors.map(({ left, planned }) => `${left} ${planned?.made.key}${planned?.stale ? '!' : ''}`).sort();
  return [levelZero, keys(segments.slice(0, old)), keys(segments.slice(old)), keys(flying), actors.join('/'), garbage, read, graces].join(
    '|',
  );
}

function wayTo(key: string, cameFrom: ReadonlyMap<string, { from: string; event: string }>): string[] {
  const way: string[] = [];
  for (let at = cameFrom.get(key); at !== undefined; at = cameFrom.get(at.from)) way.unshift(at.event);
  return way;
}

/** The collector sees each segment when it is put: no later is the worst. */
function seen(set: LiveSet<ListedSegment>): LiveSet<ListedSegment & Seen> {
  const seen = new Map([...set.accepted, ...set.obstacles.keys()].map((segment) => [segment, { ...segment, seenMs: segment.createdMs }]));
  return {
    accepted: set.accepted.map((segment) => seen.get(segment)!),
    obstacles: new Map([...set.obstacles].map(([segment, obstacle]) => [seen.get(segment)!, seen.get(obstacle)!])),
  };
}
