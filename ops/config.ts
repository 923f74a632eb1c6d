import { bool, bytes, choice, duration, int, type OptionsOf, type Rows, type Section, section, string } from './base/options.ts';
import { type Action, helpText, readFlags } from './config-flags.ts';
import { type Given, type Slot, slotsOf } from './config-slots.ts';
import { readYaml, writeYaml } from './config-yaml.ts';
import { LOG_LEVELS } from './log.ts';

export const generalOptions = section('', '', {
  target: string('all', 'Components that this process runs.'),
  authEnabled: bool('false', 'Take the tenant from X-Scope-OrgID; otherwise every request belongs to the tenant `fake`.', {
    flag: 'auth.enabled',
  }),
});

export const serverOptions = section('server', 'server', {
  httpListenAddress: string('', 'Address to listen on; empty for all.'),
  httpListenPort: int('3100', 'Port to listen on; 0 for any free one.', { min: 0, max: 65_535 }),
  httpServerReadTimeout: duration('30s', 'A request, headers and body, must have arrived after this long.'),
  httpServerWriteTimeout: duration('30s', 'A client that takes no byte of its answer for this long is cut off.'),
  httpServerIdleTimeout: duration('2m', 'A connection without a request is closed after this long.'),
  gracefulShutdownTimeout: duration('5s', 'How long a stop waits for running requests; what is left is cut off.'),
  maxInflightBodyBytes: bytes('64MB', 'Request bodies in memory at once; a push beyond it is answered with 429.'),
  workers: int('0', 'Worker threads; 0 for one per core.', { min: 0, max: 1_024 }),
  logLevel: choice(LOG_LEVELS, 'info', 'Least severe messages to log: debug, info, warn or error.', { flag: 'log.level' }),
});

export const commonOptions = section('common', 'common', {
  pathPrefix: string('./data', 'Folder that holds everything this process writes.'),
});

export interface ConfigInputs {
  /** Without the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; an Error it throws becomes a problem. */
  readonly readFile: (path: string) => string;
}

/** Everything that is wrong with the file, the environment and the flags, a line each, in that order. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

export interface Configuration {
  /** What the flags ask for: `help`, `print` and `version` show their text and exit. */
  readonly action: Action;
  /** Effective values of a section that was given to {@link configure}. */
  valuesOf<R extends Rows>(section: Section<R>): OptionsOf<Section<R>>;
  /** Every effective value, as a file that `-config.file` takes. */
  toYaml(): string;
  helpText(): string;
}

/** Values from `-config.file`, environment and flags; the later overrides the earlier, and all override the defaults. Throws ConfigError. */
export function configure(sections: readonly Section<Rows>[], inputs: ConfigInputs): Configuration {
  const slots = slotsOf(sections);
  const flagProblems: string[] = [];
  const flags = readFlags(inputs.argv, slots, flagProblems);
  const problems: string[] = [];
  const given = [...fileGiven(flags.configFile, slots, inputs, problems), ...envGiven(slots, inputs.env), ...flags.given];
  const values = new Map<Slot, unknown>(slots.map((slot) => [slot, slot.option.parse(slot.option.default)]));
  for (const { slot, text, where } of given) {
    try {
      values.set(slot, slot.option.parse(text));
    } catch (error) {
      problems.push(`${where}: ${(error as Error).message}`);
    }
  }
  problems.push(...flagProblems);
  const asksForText = flags.action === 'help' || flags.action === 'version';
  if (problems.length > 0 && !asksForText) throw new ConfigError(problems);
  return {
    action: flags.action,
    valuesOf(of) {
      const mine = slots.filter((slot) => slot.section === of);
      if (mine.length === 0) throw new Error(`section ${of.yaml} is not configured`);
      return Object.fromEntries(mine.map((slot) => [slot.key, values.get(slot)])) as OptionsOf<typeof of>;
    },
    toYaml: () => writeYaml([...values]),
    helpText: () => helpText(slots),
  };
}

function fileGiven(path: string | undefined, slots: readonly Slot[], inputs: ConfigInputs, problems: string[]): Given[] {
  if (path === undefined) return [];
  let text: string;
  try {
    text = inputs.readFile(path);
  } catch (error) {
    problems.push(`-config.file: ${(error as Error).message}`);
    return [];
  }
  return readYaml(path, text, slots, problems);
}

function envGiven(slots: readonly Slot[], env: ConfigInputs['env']): Given[] {
  return slots.flatMap((slot) => {
    const text = env[slot.env];
    return text === undefined ? [] : [{ slot, text, where: `environment ${slot.env}` }];
  });
}
