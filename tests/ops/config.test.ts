import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bool, bytes, choice, duration, float, int, list, type Rows, type Section, section, string } from '../../ops/base/options.ts';
import { type ConfigMode, type Configuration, configure } from '../../ops/config.ts';
import { ConfigError, Findings } from '../../ops/config-findings.ts';
import { slotsOf } from '../../ops/config-slots.ts';
import { isLokiFlag, isLokiKey } from '../../ops/loki-names.ts';
import { sections as allSections } from '../../ops/sections.ts';

const general = section('', '', { target: string('all', 'What runs.'), authEnabled: bool('false', 'Tenants.', { flag: 'auth.enabled' }) });
const server = section('server', 'server', {
  httpListenPort: int('3100', 'Port.', { min: 0, max: 65_535 }),
  logLevel: choice(['debug', 'info'], 'info', 'Level.', { flag: 'log.level' }),
  ratio: float('0.5', 'Ratio.'),
});
const limits = section('limits_config', 'limits', {
  rejectOldSamples: bool('true', 'Refuse.', { flag: 'validation.reject-old-samples' }),
  maxQueryLength: duration('30d1h', 'Length.'),
  maxLineSize: bytes('256KB', 'Size.'),
  names: list('a,b', 'Names.'),
});
const deep = section('common.storage', 'common.storage', { folder: string('', 'Folder.') });
const sections: readonly Section<Rows>[] = [general, server, limits, deep];

interface Given {
  argv?: string[];
  env?: Record<string, string>;
  yaml?: string;
}

function load({ argv = [], env = {}, yaml }: Given): { configuration: Configuration; findings: Findings } {
  const args = yaml === undefined ? argv : ['-config.file=c.yaml', ...argv];
  const findings = new Findings();
  return { configuration: configure(sections, { argv: args, env, readFile: () => yaml ?? '' }, findings), findings };
}

function configured(given: Given): Configuration {
  const { configuration, findings } = load(given);
  assert.deepEqual(findings.settle(false), []);
  return configuration;
}

function problemsOf({ findings }: { findings: Findings }): readonly string[] {
  try {
    findings.settle(false);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function allOf(configuration: Configuration): Record<string, unknown> {
  return Object.assign({}, ...sections.map((one) => configuration.valuesOf(one)));
}

const defaults = allOf(configured({}));

const accepted: [what: string, given: Given, changed: Record<string, unknown>][] = [
  ['nothing', {}, {}],
  ['-name=value', { argv: ['-server.http-listen-port=80'] }, { httpListenPort: 80 }],
  ['-name value', { argv: ['-server.http-listen-port', '80'] }, { httpListenPort: 80 }],
  ['--name=value', { argv: ['--server.http-listen-port=80'] }, { httpListenPort: 80 }],
  ['a value that holds =', { argv: ['-target=a=b'] }, { target: 'a=b' }],
  ['a value that begins with a dash', { argv: ['-server.ratio', '-1.5'] }, { ratio: -1.5 }],
  ['an empty value', { argv: ['-target='] }, { target: '' }],
  ['a bare bool', { argv: ['-auth.enabled'] }, { authEnabled: true }],
  ['a bare bool takes no next argument', { argv: ['-auth.enabled', '-target=x'] }, { authEnabled: true, target: 'x' }],
  ['bool=false', { argv: ['-validation.reject-old-samples=false'] }, { rejectOldSamples: false }],
  ['the last of two', { argv: ['-target=a', '-target=b'] }, { target: 'b' }],
  ['a list in one flag', { argv: ['-limits.names=x,y'] }, { names: ['x', 'y'] }],
  ['a list in several flags', { argv: ['-limits.names=x', '-limits.names', 'y,z'] }, { names: ['x', 'y', 'z'] }],
  ['environment', { env: { SERVER_HTTP_LISTEN_PORT: '81' } }, { httpListenPort: 81 }],
  ['environment by the name of the flag', { env: { VALIDATION_REJECT_OLD_SAMPLES: 'false' } }, { rejectOldSamples: false }],
  ['environment of a flag without section', { env: { MILLRACE_TARGET: 'read', TARGET: 'no' } }, { target: 'read' }],
  ['yaml', { yaml: 'server:\n  http_listen_port: 82\n' }, { httpListenPort: 82 }],
  ['yaml at the top', { yaml: 'auth_enabled: true\ntarget: write\n' }, { authEnabled: true, target: 'write' }],
  ['yaml below two keys', { yaml: 'common: {storage: {folder: /x}}' }, { folder: '/x' }],
  [
    'yaml as written',
    { yaml: 'limits_config:\n  max_query_length: 2h\n  max_line_size: 1.5MB\n' },
    { maxQueryLength: 7_200_000, maxLineSize: 1_572_864 },
  ],
  ['yaml list', { yaml: 'limits_config:\n  names: [x, y]\n' }, { names: ['x', 'y'] }],
  ['yaml alias', { yaml: 'target: &t read\ncommon: {storage: {folder: *t}}' }, { target: 'read', folder: 'read' }],
  [
    'yaml keys of other maps by <<, the own one before them',
    { yaml: 'server:\n  http_listen_port: 1\n  <<: [{ratio: 2}, {ratio: 3, log_level: debug, http_listen_port: 4}]\n' },
    { httpListenPort: 1, ratio: 2, logLevel: 'debug' },
  ],
  [
    'yaml scalars of other types',
    { yaml: 'limits_config: {max_line_size: 1024, max_query_length: 0, reject_old_samples: no, names: q}\ntarget: 42\n' },
    { maxLineSize: 1_024, maxQueryLength: 0, rejectOldSamples: false, names: ['q'], target: '42' },
  ],
  [
    'yaml text in quotes',
    { yaml: 'server: {http_listen_port: "82"}\nlimits_config: {max_query_length: \'1h\'}\n' },
    { httpListenPort: 82, maxQueryLength: 3_600_000 },
  ],
  [
    'variables in the file, if told so',
    {
      argv: ['-config.expand-env'],
      yaml: `target: \${NAME}\ncommon: {storage: {folder: "\${NONE:-/x}/\${NONE}\${NAME}"}}\n`,
      env: { NAME: 'b' },
    },
    { target: 'b', folder: '/x/b' },
  ],
  ['a dollar sign as it is otherwise', { yaml: `target: \${NAME}\n`, env: { NAME: 'b' } }, { target: `\${NAME}` }],
  ['yaml key with nothing', { yaml: 'server:\nlimits_config:\n  names:\n' }, {}],
  ['empty yaml', { yaml: '# nothing\n' }, {}],
  ['environment over yaml', { yaml: 'target: a', env: { MILLRACE_TARGET: 'b' } }, { target: 'b' }],
  ['flag over environment', { argv: ['-target=c'], env: { MILLRACE_TARGET: 'b' } }, { target: 'c' }],
];
for (const [what, given, changed] of accepted) {
  test(`config takes ${what}`, () => assert.deepEqual(allOf(configured(given)), { ...defaults, ...changed }));
}

const refused: [what: string, given: Given, problems: string[]][] = [
  [
    'an unknown flag',
    { argv: ['-server.http-listen-prot=1'] },
    ['flag -server.http-listen-prot: unknown, did you mean -server.http-listen-port?'],
  ],
  ['an unknown flag with a value apart', { argv: ['-nonsense-of-mine', '5'] }, ['flag -nonsense-of-mine: unknown']],
  ['an argument that is no flag', { argv: ['serve'] }, ['"serve": not a flag']],
  ['a flag without its value', { argv: ['-target'] }, ['flag -target: needs a value']],
  ['a bad number', { argv: ['-server.http-listen-port=x'] }, ['flag -server.http-listen-port: not a whole number: x']],
  ['a number out of range', { argv: ['-server.http-listen-port=65536'] }, ['flag -server.http-listen-port: 65536 is above 65535']],
  ['a word not listed', { argv: ['-log.level=loud'] }, ['flag -log.level: not one of debug, info: loud']],
  ['a bad environment value', { env: { AUTH_ENABLED: 'maybe' } }, ['environment AUTH_ENABLED: neither true nor false: maybe']],
  [
    'an unknown key',
    { yaml: 'server:\n  http_listen_port: 1\n  http_listen_adress: x\n' },
    ['c.yaml:3: unknown key server.http_listen_adress'],
  ],
  [
    'a key misspelt',
    { yaml: 'limits_config:\n  reject_old_sample: false\n' },
    ['c.yaml:2: unknown key limits_config.reject_old_sample, did you mean reject_old_samples?'],
  ],
  ['a bad yaml value', { yaml: '\nlimits_config:\n  max_line_size: big\n' }, ['c.yaml:3: limits_config.max_line_size: not a size: big']],
  ['a map for a value', { yaml: 'target: {a: 1}\n' }, ['c.yaml:1: target: wants a single value']],
  ['a value for a map', { yaml: 'server: 5\n' }, ['c.yaml:1: server: wants keys with values']],
  ['a list at the top', { yaml: '- a\n' }, ['c.yaml:1: wants keys with values']],
  ['a key given twice', { yaml: 'target: a\ntarget: b\n' }, ['c.yaml:2: Map keys must be unique']],
  [
    'everything wrong at once, file first',
    { yaml: 'targt: x\nserver:\n  ratio: much\n', env: { LOG_LEVEL: 'no' }, argv: ['-what', '-server.http-listen-port=y'] },
    [
      'c.yaml:1: unknown key targt, did you mean target?',
      'c.yaml:3: server.ratio: not a number: much',
      'environment LOG_LEVEL: not one of debug, info: no',
      'flag -what: unknown',
      'flag -server.http-listen-port: not a whole number: y',
    ],
  ],
];
for (const [what, given, problems] of refused) {
  test(`config refuses ${what}`, () => assert.deepEqual(problemsOf(load(given)), problems));
}

test('config names a file that cannot be read', () => {
  const readFile = (): string => {
    throw new Error('no such file: c.yaml');
  };
  const findings = new Findings();
  configure(sections, { argv: ['-config.file', 'c.yaml'], env: {}, readFile }, findings);
  assert.deepEqual(problemsOf({ findings }), ['-config.file: no such file: c.yaml']);
});

test('the printed configuration reads back as the same values', () => {
  const given = {
    argv: ['-target=x: y', '-limits.max-query-length=721h', '-limits.names=', '-limits.max-line-size=1000', '-auth.enabled'],
  };
  const first = configured(given);
  assert.deepEqual(allOf(configured({ yaml: first.toYaml() })), allOf(first));
  assert.match(first.toYaml(), /^server:\n {2}http_listen_port: 3100$/m);
});

const shown: [mode: ConfigMode, text: string][] = [
  ['effective', 'target: x\nauth_enabled: false\nserver:\n  http_listen_port: 3100\n  log_level: info\n  ratio: 0.5\n'],
  ['defaults', 'target: all\nauth_enabled: false\nserver:\n  http_listen_port: 3100\n  log_level: info\n  ratio: 0.5\n'],
  ['diffs', 'target: x\nlimits_config:\n  max_query_length: 31d\n  names:\n    - c\n'],
];
for (const [mode, text] of shown) {
  test(`config shows ${mode}`, () => {
    // As good as the default, though written otherwise.
    const given = { yaml: 'target: x\nlimits_config: {max_query_length: 744h, max_line_size: 262144, names: [c]}\n' };
    assert.ok(configured(given).toYaml(mode).startsWith(text), configured(given).toYaml(mode));
  });
}

test('config shows no difference from the defaults', () => assert.equal(configured({}).toYaml('diffs'), '{}\n'));

test('what Loki has and we do not is refused by name, or warned of if that is allowed', () => {
  const given = {
    yaml: 'schema_config: {configs: []}\nserver: {grpc_listen_port: 1}\ntarget: y\n',
    argv: ['-memberlist.bind-port', '7', '-x'],
  };
  const unsupported = [
    'c.yaml:1: schema_config is an option of Loki that is not supported here',
    'c.yaml:2: server.grpc_listen_port is an option of Loki that is not supported here',
    'flag -memberlist.bind-port is an option of Loki that is not supported here',
  ];
  const hint = 'with -config.allow-unsupported, options that are not supported here are ignored with a warning each';
  assert.deepEqual(problemsOf(load(given)), [...unsupported, 'flag -x: unknown', hint]);
  const allowed = load({ ...given, argv: ['-memberlist.bind-port', '7'] });
  assert.deepEqual(allowed.findings.settle(true), unsupported);
  assert.equal(allowOf(['-config.allow-unsupported']), true);
  assert.equal(allowOf([]), false);
  assert.equal(allOf(allowed.configuration).target, 'y');
});

const allowOf = (argv: string[]): boolean => load({ argv }).configuration.allowUnsupported;

for (const [argv, action] of [
  [[], 'run'],
  [['-help'], 'help'],
  [['--help'], 'help'],
  [['-h'], 'help'],
  [['-help=false'], 'run'],
  [['-help', '-print-config'], 'help'],
  [['-print-config'], 'print'],
  [['-version'], 'version'],
  [['-verify-config'], 'verify'],
] as const) {
  test(`config: ${argv.join(' ') || 'no flag'} means ${action}`, () => assert.equal(configured({ argv: [...argv] }).action, action));
}

test('the help text names every option with default, YAML key and environment', () => {
  const help = configured({}).helpText();
  assert.match(
    help,
    /-server\.http-listen-port int\n +Port\. \(default 3100\)\n +YAML server\.http_listen_port, environment SERVER_HTTP_LISTEN_PORT/,
  );
  assert.match(help, /-validation\.reject-old-samples bool\n.*\n +YAML limits_config\.reject_old_samples/);
});

/** Loki reads these from files only. */
const FLAGS_OF_OURS = [
  ['limits_config.required_labels', 'limits.required-labels'],
  ['limits_config.minimum_labels_number', 'limits.minimum-labels-number'],
];

test('an option has Loki’s names everywhere, or nowhere', () => {
  const mixed = slotsOf(allSections).filter(({ path, flag }) => isLokiKey(path) !== isLokiFlag(flag));
  assert.deepEqual(
    mixed.map(({ path, flag }) => [path.join('.'), flag]),
    FLAGS_OF_OURS,
  );
});

test('two options with one flag are a mistake of ours', () => {
  const twice = () => configure([general, general], { argv: [], env: {}, readFile: () => '' }, new Findings());
  assert.throws(twice, /two options are called target/);
});
