import { didYouMean, type Given, type Slot } from './config-slots.ts';

/** Flags that are no options: what to do, and where the file is. */
const OWN_FLAGS = [
  { flag: 'config.file', type: 'string', doc: 'YAML file with options.' },
  { flag: 'print-config', type: 'bool', doc: 'Print the effective options as YAML and exit.' },
  { flag: 'help', type: 'bool', doc: 'Print this text and exit.' },
  { flag: 'version', type: 'bool', doc: 'Print the version and exit.' },
] as const;

export type Action = 'run' | 'help' | 'print' | 'version';

export interface Flags {
  readonly action: Action;
  readonly configFile: string | undefined;
  readonly given: readonly Given[];
}

const ACTIONS: Readonly<Record<string, Action>> = { help: 'help', h: 'help', 'print-config': 'print', version: 'version' };

/** Go's flag syntax: `-name=value`, `-name value`, one dash or two, a bare `-name` for booleans (whose value needs the `=`). The last of equal flags
 *  wins. What cannot be read is added to `problems`. */
export function readFlags(argv: readonly string[], slots: readonly Slot[], problems: string[]): Flags {
  const byFlag = new Map(slots.map((slot) => [slot.flag, slot]));
  const given: Given[] = [];
  let action: Action = 'run';
  let configFile: string | undefined;
  for (let index = 0; index < argv.length; index++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argv[index]);
    if (match === null) {
      problems.push(`unexpected argument ${JSON.stringify(argv[index])}`);
      continue;
    }
    const [, name] = match;
    let text: string | undefined = match[2];
    if (Object.hasOwn(ACTIONS, name)) {
      if (text === undefined || text === 'true') action = ACTIONS[name];
      else if (text !== 'false') problems.push(`flag -${name}: neither true nor false: ${text}`);
      continue;
    }
    const slot = byFlag.get(name);
    if (slot === undefined && name !== 'config.file') {
      problems.push(`unknown flag -${name}${didYouMean(`-${name}`, flagNames(slots))}`);
      // `-unknown value`: the value is not a mistake of its own.
      if (text === undefined && index + 1 < argv.length && !argv[index + 1].startsWith('-')) index++;
      continue;
    }
    if (text === undefined) text = slot?.option.type === 'bool' ? 'true' : argv[++index];
    if (text === undefined) problems.push(`flag -${name} needs a value`);
    else if (slot === undefined) configFile = text;
    else given.push({ slot, text, where: `flag -${name}` });
  }
  return { action, configFile, given };
}

function* flagNames(slots: readonly Slot[]): Iterable<string> {
  for (const { flag } of OWN_FLAGS) yield `-${flag}`;
  for (const { flag } of slots) yield `-${flag}`;
}

/** Every flag with its type, default, description and other names, by section. */
export function helpText(slots: readonly Slot[]): string {
  const lines = ['Options are read from -config.file, then the environment, then flags; the later one wins.', ''];
  for (const { flag, type, doc } of OWN_FLAGS) lines.push(`  -${flag} ${type}`, `        ${doc}`);
  let section: unknown;
  for (const slot of slots) {
    if (slot.section !== section) lines.push('', slot.section.yaml === '' ? 'general' : slot.section.yaml);
    section = slot.section;
    const fallback = slot.option.default === '' ? '' : ` (default ${slot.option.default})`;
    lines.push(`  -${slot.flag} ${slot.option.type}`, `        ${slot.option.doc}${fallback}`);
    lines.push(`        YAML ${slot.path.join('.')}, environment ${slot.env}`);
  }
  return `${lines.join('\n')}\n`;
}
