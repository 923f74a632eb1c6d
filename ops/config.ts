import {
  bool,
  bytes,
  choice,
  choices,
  duration,
  int,
  list,
  type OptionsOf,
  plainValue,
  type Rows,
  type Section,
  section,
  string,
} from './base/options.ts';
import type { Findings } from './config-findings.ts';
import { type Action, type Flags, helpText, readFlags } from './config-flags.ts';
import { type Given, given, type Slot, slotsOf } from './config-slots.ts';
import { knownKeys, readOptions, writeYaml, YamlFile } from './config-yaml.ts';
import { LOG_LEVELS } from './log.ts';
import { TARGETS } from './targets.ts';

/** Limits that Grafana's applications ask for, by Loki's names; those that are not ours are not shown. */
const PUBLISHED_LIMITS =
  'discover_log_levels,discover_service_name,log_level_fields,max_entries_limit_per_query,max_line_size_truncate,max_query_bytes_read,max_query_length,' +
  'max_query_lookback,max_query_range,max_query_series,metric_aggregation_enabled,otlp_config,pattern_persistence_enabled,query_timeout,' +
  'retention_period,retention_stream,volume_enabled,volume_max_series';

export const generalOptions = section('', '', {
  target: choices(
    TARGETS,
    'all',
    'Components that this process runs: `all`, or, of a process that is one of several, any list of components and of the groups `write` (distributor, ingester), `read` (query-frontend, querier) and `backend` (query-scheduler, compactor).',
  ),
  authEnabled: bool('false', 'Take the tenant from X-Scope-OrgID; otherwise every request belongs to the tenant `fake`.', {
    flag: 'auth.enabled',
  }),
  tenantLimitsAllowPublish: list(PUBLISHED_LIMITS, 'Limits that a tenant is shown of its own; empty: all.', {
    flag: 'limits.tenant-limits-allow-publish',
  }),
});

export const serverOptions = section('server', 'server', {
  httpListenAddress: string('', 'Address to listen on; empty for all.'),
  httpListenPort: int('3100', 'Port to listen on; 0 for any free one.', { min: 0, max: 65_535 }),
  httpServerReadTimeout: duration('30s', 'A request, headers and body, must have arrived after this long.', {
    flag: 'server.http-read-timeout',
  }),
  httpServerWriteTimeout: duration('30s', 'A client that takes no byte of its answer for this long is cut off.', {
    flag: 'server.http-write-timeout',
  }),
  httpServerIdleTimeout: duration('2m', 'A connection without a request is closed after this long.', { flag: 'server.http-idle-timeout' }),
  gracefulShutdownTimeout: duration('5s', 'How long a stop waits for running requests; what is left is cut off.'),
  maxInflightBodyBytes: bytes('64MB', 'Request bodies in memory at once; a push beyond it is answered with 429.'),
  workers: int('0', 'Shards, each with a thread that takes in and one that answers; 0 for one per core.', { min: 0, max: 1_024 }),
  logLevel: choice(LOG_LEVELS, 'info', 'Least severe messages to log: debug, info, warn or error.', { flag: 'log.level' }),
});

export const commonOptions = section('common', 'common', {
  pathPrefix: string('./data', 'Folder that holds everything this process writes.'),
  ingestLog: choice(
    ['local', 'kafka'],
    'local',
    'Where entries are durable before they are in storage: in files of ingesters, or in a topic of Kafka (-kafka.brokers), from which ingesters read them; that is for processes of a cluster (-nats.servers).',
  ),
});

export const filesystemOptions = section('common.storage.filesystem', 'common.storage.filesystem', {
  chunksDirectory: string(
    '',
    'Folder of the objects in storage, which all processes of a cluster share; empty: `objects` under the path prefix.',
    {
      flag: 'common.storage.filesystem.chunk-directory',
    },
  ),
});

export interface ConfigInputs {
  /** Without the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of a file; an Error it throws becomes a problem. */
  readonly readFile: (path: string) => string;
}

/** Which options are shown: all as they are, all as they are if nobody sets any, or those that are not so. */
export type ConfigMode = 'effective' | 'defaults' | 'diffs';

export interface Configuration {
  /** What the flags ask for: all but `run` do something short and exit. */
  readonly action: Action;
  /** Whether what Loki has and we do not is ignored, in the file of overrides too. */
  readonly allowUnsupported: boolean;
  /** Effective values of a section that was given to {@link configure}. */
  valuesOf<R extends Rows>(section: Section<R>): OptionsOf<Section<R>>;
  /** A file that `-config.file` takes. */
  toYaml(mode?: ConfigMode): string;
  helpText(): string;
}

/** Whether Kafka is in front of ingesters. */
export function isBuffered(configuration: Configuration): boolean {
  return configuration.valuesOf(commonOptions).ingestLog === 'kafka';
}

/** Values from `-config.file`, environment and flags; the later overrides the earlier, and all override the defaults. What is wrong with them is added to
 *  `findings`, in that order. */
export function configure(sections: readonly Section<Rows>[], inputs: ConfigInputs, findings: Findings): Configuration {
  const slots = slotsOf(sections);
  const flags = readFlags(inputs.argv, slots);
  const defaults = new Map<Slot, unknown>(slots.map((slot) => [slot, slot.option.parse(slot.option.default)]));
  const fromFile = fileGiven(flags, slots, inputs, findings);
  const values = new Map([...defaults, ...fromFile, ...envGiven(slots, inputs.env, findings), ...flags.given]);
  findings.append(flags.findings);
  return {
    action: flags.action,
    allowUnsupported: flags.allowUnsupported,
    valuesOf(of) {
      const mine = slots.filter((slot) => slot.section === of);
      if (mine.length === 0) throw new Error(`section ${of.yaml} is not configured`);
      return Object.fromEntries(mine.map((slot) => [slot.key, values.get(slot)])) as OptionsOf<typeof of>;
    },
    toYaml(mode = 'effective') {
      const shown = [...(mode === 'defaults' ? defaults : values)].filter(
        ([{ option }, value]) => mode !== 'diffs' || option.print(value) !== option.print(option.parse(option.default)),
      );
      return writeYaml(shown.map(([{ path, option }, value]) => [path, plainValue(option, value)]));
    },
    helpText: () => helpText(slots),
  };
}

function fileGiven({ configFile, expandEnv }: Flags, slots: readonly Slot[], inputs: ConfigInputs, findings: Findings): Given[] {
  if (configFile === undefined) return [];
  let text: string;
  try {
    text = inputs.readFile(configFile);
  } catch (error) {
    findings.problem('-config.file', (error as Error).message);
    return [];
  }
  const file = new YamlFile(configFile, expandEnv ? expanded(text, inputs.env) : text, findings);
  return readOptions(file, file.top(findings), { known: knownKeys(slots), shown: [], path: [] }, findings);
}

/** `${NAME}` becomes what the environment has under that name, or '', `${NAME:-text}` becomes `text` if there is nothing. */
function expanded(text: string, env: ConfigInputs['env']): string {
  return text.replace(/\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g, (_, name: string, fallback = '') => env[name] || fallback);
}

function envGiven(slots: readonly Slot[], env: ConfigInputs['env'], findings: Findings): Given[] {
  return slots.flatMap((slot) => {
    const text = env[slot.env];
    return text === undefined ? [] : given(slot, text, `environment ${slot.env}`, findings);
  });
}
