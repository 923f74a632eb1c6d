import { Findings } from './config-findings.ts';
import { didYouMean, type Given, given, type Slot } from './config-slots.ts';
import { isLokiFlag } from './loki-names.ts';

export type Action = 'run' | 'help' | 'print' | 'verify' | 'version';

interface OwnFlag {
  readonly type: 'string' | 'bool';
  readonly doc: string;
}

/** Flags that are no options: where the file is and how it is read, and what to do. */
const OWN_FLAGS: ReadonlyMap<string, OwnFlag> = new Map([
  ['config.file', { type: 'string', doc: 'YAML file with options.' }],
  ['config.expand-env', { type: 'bool', doc: 'Replace variables of the environment in that file, in braces after a dollar sign.' }],
  ['config.allow-unsupported', { type: 'bool', doc: 'Ignore options that Loki has and this program does not, with a warning each.' }],
  ['verify-config', { type: 'bool', doc: 'Check the options and the per-tenant overrides and exit, with 1 if anything is wrong.' }],
  ['print-config', { type: 'bool', doc: 'Print the effective options as YAML and exit.' }],
  ['help', { type: 'bool', doc: 'Print this text and exit.' }],
  ['version', { type: 'bool', doc: 'Print the version and exit.' }],
]);

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ['help', 'help'],
  ['version', 'version'],
  ['verify-config', 'verify'],
  ['print-config', 'print'],
]);

export interface Flags {
  readonly action: Action;
  readonly configFile: string | undefined;
  readonly expandEnv: boolean;
  readonly allowUnsupported: boolean;
  readonly given: readonly Given[];
  readonly findings: Findings;
}

/** Go's flag syntax: `-name=value`, `-name value`, one dash or two, a bare `-name` for booleans (whose value needs the `=`). The last of equal flags
 *  wins; lists gather. What cannot be read is among the findings. */
export function readFlags(argv: readonly string[], slots: readonly Slot[]): Flags {
  const byFlag = new Map(slots.map((slot) => [slot.flag, slot]));
  const values = new Map<Slot, unknown>();
  const own = new Map<string, string>();
  const findings = new Findings();
  for (let index = 0; index < argv.length; index++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(argv[index]);
    if (match === null) {
      findings.problem(JSON.stringify(argv[index]), 'not a flag');
      continue;
    }
    const name = match[1] === 'h' ? 'help' : match[1];
    const where = `flag -${name}`;
    const slot = byFlag.get(name);
    const type = slot?.option.type ?? OWN_FLAGS.get(name)?.type;
    let text: string | undefined = match[2];
    if (type === undefined) {
      if (isLokiFlag(name)) findings.unsupported(`flag -${name}`);
      else findings.problem(where, `unknown${didYouMean(`-${name}`, flagNames(slots))}`);
      // `-unknown value`: the value is not a mistake of its own.
      if (text === undefined && index + 1 < argv.length && !argv[index + 1].startsWith('-')) index++;
      continue;
    }
    text ??= type === 'bool' ? 'true' : argv[++index];
    if (text === undefined) findings.problem(where, 'needs a value');
    else if (slot !== undefined) {
      for (const [, value] of given(slot, text, where, findings)) values.set(slot, gathered(slot, values.get(slot), value));
    } else if (type === 'bool' && text !== 'true' && text !== 'false') findings.problem(where, `neither true nor false: ${text}`);
    else own.set(name, text);
  }
  const isOn = (name: string): boolean => own.get(name) === 'true';
  return {
    action: [...ACTIONS].find(([name]) => isOn(name))?.[1] ?? 'run',
    configFile: own.get('config.file'),
    expandEnv: isOn('config.expand-env'),
    allowUnsupported: isOn('config.allow-unsupported'),
    given: [...values],
    findings,
  };
}

function gathered(slot: Slot, before: unknown, value: unknown): unknown {
  return slot.option.type === 'list' && Array.isArray(before) ? before.concat(value) : value;
}

function* flagNames(slots: readonly Slot[]): Iterable<string> {
  for (const flag of OWN_FLAGS.keys()) yield `-${flag}`;
  for (const { flag } of slots) yield `-${flag}`;
}

/** Every flag with its type, default, description and other names, by section. */
export function helpText(slots: readonly Slot[]): string {
  const lines = ['Options are read from -config.file, then the environment, then flags; the later one wins.', ''];
  for (const [flag, { type, doc }] of OWN_FLAGS) lines.push(`  -${flag} ${type}`, `        ${doc}`);
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
