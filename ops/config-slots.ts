import { kebabCase, type Option, type Rows, type Section, snakeCase } from './base/options.ts';
import type { Findings } from './config-findings.ts';

/** One option with the names under which it is set. */
export interface Slot {
  readonly section: Section<Rows>;
  readonly key: string;
  readonly option: Option<unknown>;
  /** Without dash: `server.http-listen-port`. */
  readonly flag: string;
  /** `SERVER_HTTP_LISTEN_PORT`; a flag without a section gets ours: `MILLRACE_TARGET`, since TARGET may mean something to others. */
  readonly env: string;
  /** Keys from the top of the file: `['server', 'http_listen_port']`. */
  readonly path: readonly string[];
}

/** A value that a user gave for an option. */
export type Given = readonly [slot: Slot, value: unknown];

/** Every option of `sections`, in their order. Throws if two share a flag or a YAML path. */
export function slotsOf(sections: readonly Section<Rows>[]): readonly Slot[] {
  const slots = sections.flatMap((section) => Object.entries(section.rows).map(([key, option]) => slotOf(section, key, option)));
  for (const name of [(slot: Slot) => slot.flag, (slot: Slot) => slot.path.join('.')]) {
    const seen = new Set<string>();
    for (const slot of slots) {
      if (seen.has(name(slot))) throw new Error(`two options are called ${name(slot)}`);
      seen.add(name(slot));
    }
  }
  return slots;
}

function slotOf(section: Section<Rows>, key: string, option: Option<unknown>): Slot {
  const flag = option.flag ?? (section.prefix === '' ? kebabCase(key) : `${section.prefix}.${kebabCase(key)}`);
  const upper = flag.replace(/[.-]/g, '_').toUpperCase();
  const path = [...section.yaml.split('.').filter((part) => part !== ''), snakeCase(key)];
  return { section, key, option, flag, env: flag.includes('.') ? upper : `MILLRACE_${upper}`, path };
}

/** The value that `text` is for an option; none if it cannot be read, which is added to `findings`. */
export function given(slot: Slot, text: string, where: string, findings: Findings): Given[] {
  try {
    return [[slot, slot.option.parse(text)]];
  } catch (error) {
    findings.problem(where, (error as Error).message);
    return [];
  }
}

/** `, did you mean "x"?` with the candidate nearest to `name`, or '' if none is near. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  let best = '';
  let bestDistance = Math.max(2, Math.floor(name.length / 4)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best === '' ? '' : `, did you mean ${best}?`;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}
