import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeProcess, exposition } from '../../ops/exposition.ts';
import { type LogLevel, Logs } from '../../ops/log.ts';
import { countsOf, Telemetry } from '../../ops/telemetry.ts';

function threads(...names: string[]): Telemetry[] {
  return names.map((name) => new Telemetry(name, new Logs('error')));
}

test('series of several threads are added up', async () => {
  const all = threads('main', 'w0');
  const snapshots = [];
  for (const [index, telemetry] of all.entries()) {
    const { counter, gauge, histogram } = telemetry.instruments('x');
    counter('c_total', 'C.', ['tenant']).add(index + 1, { tenant: 'a' });
    counter('c_total', 'C.', ['tenant']).add(10, { tenant: `only-${index}` });
    gauge('g', 'G.').set(5);
    histogram('h_seconds', 'H.', [1, 10]).observe(index === 0 ? 0.5 : 5);
    snapshots.push(structuredClone(await telemetry.snapshot()));
    telemetry.close();
  }
  const text = await exposition(snapshots);
  for (const line of [
    'c_total{tenant="a"} 3',
    'c_total{tenant="only-0"} 10',
    'g 10',
    'h_seconds_bucket{le="1"} 1',
    'h_seconds_bucket{le="10"} 2',
    'h_seconds_count 2',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line} in\n${text}`);
  }
  for (const thread of ['main', 'w0'])
    assert.match(text, new RegExp(`millrace_event_loop_delay_seconds\\{thread="${thread}",quantile="0.99"\\} `));
});

test('a metric asked for twice under one name is the same metric', async () => {
  const [telemetry] = threads('main');
  telemetry.instruments('a').counter('n_total', 'N.').add(1);
  telemetry.instruments('b').counter('n_total', 'N.').add(2);
  assert.match(await exposition([await telemetry.snapshot()]), /^n_total 3$/m);
  telemetry.close();
});

test('a thread that ended keeps its counts and loses its gauges', async () => {
  const [telemetry] = threads('w0');
  telemetry.instruments('a').counter('n_total', 'N.').add(4);
  telemetry.instruments('a').gauge('level', 'L.').set(4);
  const text = await exposition([countsOf(await telemetry.snapshot())]);
  assert.match(text, /^n_total 4$/m);
  assert.doesNotMatch(text, /level|event_loop/);
  telemetry.close();
});

test('the process is described once, with its build', async () => {
  const [telemetry, worker] = threads('main', 'w0');
  describeProcess(telemetry, { version: '1.2.3', revision: 'abc', branch: 'main' });
  const text = await exposition([await telemetry.snapshot(), await worker.snapshot()]);
  assert.match(text, /^loki_build_info\{version="1\.2\.3",revision="abc",branch="main",goversion="node [\d.]+"\} 1$/m);
  assert.match(text, /^millrace_build_info\{.*\} 1$/m);
  assert.match(text, /^process_resident_memory_bytes \d+$/m);
  telemetry.close();
  worker.close();
});

function logged(level: LogLevel, write: (log: ReturnType<Logs['of']>, logs: Logs) => void): string[] {
  const lines: string[] = [];
  const logs = new Logs(level, { write: (line) => lines.push(line), nowMs: () => 1_700_000_000_000 });
  write(logs.of('http'), logs);
  return lines;
}

test('log lines are logfmt with time, level and component', () => {
  const fields = {
    tenant: 'a',
    empty: '',
    sum: 'a=b "c"',
    break: 'a\nb',
    bytes: 5n,
    absent: undefined,
    list: [1, 2n],
    error: new Error('no way'),
  };
  assert.deepEqual(
    logged('info', (log) => log.warn('push refused', fields)),
    [
      'ts=2023-11-14T22:13:20.000Z level=warn component=http msg="push refused" tenant=a empty="" sum="a=b \\"c\\"" break="a\\nb" bytes=5 list="[1,\\"2\\"]" error="no way"\n',
    ],
  );
});

test('an error at level error is written with its stack', () => {
  const [line] = logged('info', (log) => log.error('failed', { error: new Error('no way') }));
  assert.match(line, /error="Error: no way\\n {4}at .*telemetry\.test\.ts/);
  assert.equal(line.indexOf('\n'), line.length - 1);
});

const levels: [level: LogLevel, written: number][] = [
  ['debug', 4],
  ['info', 3],
  ['warn', 2],
  ['error', 1],
];
for (const [level, written] of levels) {
  test(`level ${level} writes ${written} of the four levels`, () => {
    const lines = logged(level, (log) => {
      log.debug('m');
      log.info('m');
      log.warn('m');
      log.error('m');
    });
    assert.equal(lines.length, written);
  });
}

test('the level can be changed while loggers are in use', () => {
  const lines = logged('error', (log, logs) => {
    log.info('one');
    logs.level = 'debug';
    log.info('two');
  });
  assert.deepEqual(lines.length, 1);
});

test('a series of a gauge can be taken away', async () => {
  const [telemetry] = threads('main');
  const gauge = telemetry.instruments('a').gauge('hash', 'H.', ['sha']);
  gauge.set(1, { sha: 'a' });
  gauge.set(1, { sha: 'b' });
  gauge.remove({ sha: 'a' });
  gauge.remove({ sha: 'never' });
  const text = await exposition([await telemetry.snapshot()]);
  assert.match(text, /^hash\{sha="b"\} 1$/m);
  assert.doesNotMatch(text, /sha="a"/);
  telemetry.close();
});
