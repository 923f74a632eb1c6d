import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bool, bytes, choice, duration, float, int, list, type Rows, type Section, section, string } from '../../ops/base/options.ts';
import { type ConfigError, type Configuration, configure } from '../../ops/config.ts';

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

function configured({ argv = [], env = {}, yaml }: Given): Configuration {
  const args = yaml === undefined ? argv : ['-config.file=c.yaml', ...argv];
  return configure(sections, { argv: args, env, readFile: () => yaml ?? '' });
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
    ['unknown flag -server.http-listen-prot, did you mean -server.http-listen-port?'],
  ],
  ['an unknown flag with a value apart', { argv: ['-nonsense-of-mine', '5'] }, ['unknown flag -nonsense-of-mine']],
  ['an argument that is no flag', { argv: ['serve'] }, ['unexpected argument "serve"']],
  ['a flag without its value', { argv: ['-target'] }, ['flag -target needs a value']],
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
      'flag -server.http-listen-port: not a whole number: y',
      'unknown flag -what',
    ],
  ],
];
for (const [what, given, problems] of refused) {
  test(`config refuses ${what}`, () => {
    assert.throws(
      () => configured(given),
      (error: ConfigError) => {
        assert.deepEqual(error.problems, problems);
        return true;
      },
    );
  });
}

test('config names a file that cannot be read', () => {
  const readFile = (): string => {
    throw new Error('no such file: c.yaml');
  };
  assert.throws(() => configure(sections, { argv: ['-config.file', 'c.yaml'], env: {}, readFile }), {
    problems: ['-config.file: no such file: c.yaml'],
  });
});

test('the printed configuration reads back as the same values', () => {
  const given = {
    argv: ['-target=x: y', '-limits.max-query-length=721h', '-limits.names=', '-limits.max-line-size=1000', '-auth.enabled'],
  };
  const first = configured(given);
  assert.deepEqual(allOf(configured({ yaml: first.toYaml() })), allOf(first));
  assert.match(first.toYaml(), /^server:\n {2}http_listen_port: 3100$/m);
});

for (const [argv, action] of [
  [[], 'run'],
  [['-help'], 'help'],
  [['--help', '-nonsense'], 'help'],
  [['-print-config'], 'print'],
  [['-version'], 'version'],
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

test('two options with one flag are a mistake of ours', () => {
  assert.throws(() => configure([general, general], { argv: [], env: {}, readFile: () => '' }), /two options are called target/);
});
