import { readFileSync } from 'node:fs';

interface LokiNames {
  /** YAML paths joined by dots, the groups above options included. */
  readonly keys: ReadonlySet<string>;
  /** Without dash. */
  readonly flags: ReadonlySet<string>;
}

/** Whether Loki's configuration file has this key. */
export function isLokiKey(path: readonly string[]): boolean {
  return namesOf().keys.has(path.join('.'));
}

/** `name`: without its dash. */
export function isLokiFlag(name: string): boolean {
  return namesOf().flags.has(name);
}

let names: LokiNames | undefined;

/** Read when first needed: most starts give no name that is unknown. The file is made by tests/conformance/oracle/names.mjs. */
function namesOf(): LokiNames {
  names ??= parseNames(readFileSync(new URL('./loki-names.txt', import.meta.url), 'utf8'));
  return names;
}

/** Two parts, `[keys]` and `[flags]`, of lines `group group: name name`: each name stands below each of the groups; `.` is the top. */
export function parseNames(text: string): LokiNames {
  const parts = { keys: new Set<string>(), flags: new Set<string>() };
  let part = parts.keys;
  for (const line of text.split('\n')) {
    if (line === '[keys]' || line === '[flags]') part = line === '[keys]' ? parts.keys : parts.flags;
    const [groups, members] = line.split(': ');
    if (members === undefined || line.startsWith('#')) continue;
    for (const group of groups.split(' ')) for (const name of members.split(' ')) part.add(group === '.' ? name : `${group}.${name}`);
  }
  return parts;
}
