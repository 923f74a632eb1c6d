import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LevelFinder, levelOf } from '../../../actors/distributor/levels.ts';
import { limitsOptions } from '../../../actors/limits.ts';
import { defaultsOf } from '../../../ops/base/options.ts';

const { logLevelFields } = defaultsOf(limitsOptions);
const finder = new LevelFinder(logLevelFields, 2);

/** With text around it that would change the answer if it were looked at. */
function find(line: string, of = finder): string {
  const bytes = Buffer.from(`error ${line} error`);
  return of.find(bytes, 6, bytes.length - 6);
}

const cases: [line: string, level: string][] = [
  ['', 'unknown'],
  ['   ', 'unknown'],
  // keywords: the first that stands on its own
  ['ERROR: bad thing', 'error'],
  ['an Info and an error', 'info'],
  ['fatal', 'fatal'],
  ['[warn] late', 'warn'],
  ['(debug)', 'debug'],
  ['a|trace|b', 'trace'],
  ['"critical"', 'critical'],
  ['err', 'error'],
  ['errors and terror', 'unknown'],
  ['misc:error', 'unknown'],
  ['error.', 'unknown'],
  ['no-error', 'unknown'],
  ['errors then error', 'error'],
  ['a warning!', 'warn'],
  ['wrn', 'unknown'],
  ['\r\ninfo\r', 'unknown'],
  ['\ninfo\n', 'info'],
  // logfmt: the name that is first in the list, in any case
  ['level=warn msg="an error"', 'warn'],
  ['severity=error Level=dbg', 'debug'],
  ['lvl=trc severity=INF', 'info'],
  ['msg="unterminated lvl=wrn error', 'error'],
  ['level="warning" x=1', 'warn'],
  ['level="wa\\"rn" x=error', 'error'],
  ['a=b"c level=warn', 'warn'],
  ['=x level=wrn', 'unknown'],
  ['"x" level=wrn', 'unknown'],
  ['level= info', 'info'],
  ['level=unheard error', 'error'],
  ['flag level=wrn', 'warn'],
  ['x=1 lvl=wrn', 'warn'],
  ['lvl=wrn a=b=c severity=error', 'warn'],
  // JSON: the first string under a name, in its case
  ['{"level":"WARN","msg":"error"}', 'warn'],
  ['{"msg":"x","lvl":"wrn","level":"error"}', 'warn'],
  ['{"LeVel":"wrn"}', 'unknown'],
  ['{"level":30,"severity":"wrn"}', 'warn'],
  ['{"a":{"level":"wrn"}}', 'warn'],
  ['{"a":{"b":{"level":"wrn"}},"level":"dbg"}', 'debug'],
  ['{"a":{"b":{"level":"wrn"}}}', 'unknown'],
  ['{"a":[{"level":"wrn"}],"b":"{\\"level\\":\\"wrn\\"}"}', 'unknown'],
  ['{"a":"}","level":"wrn"}', 'warn'],
  [' {"log.level" : "dbg" , "x":1} ', 'debug'],
  ['{"level":"notice","msg":"error"}', 'error'],
  ['{"level":"notice"}', 'unknown'],
  ['{"level": broken}', 'unknown'],
  ['{"a":1 "level":"wrn"}', 'unknown'],
  ['{"level":"wrn"', 'unknown'],
  ['{"level":"wrn', 'unknown'],
  ['{}', 'unknown'],
  ['{"a":{},"level":"inf"}', 'info'],
  ['["level","wrn"]', 'unknown'],
];
for (const [line, level] of cases) test(`level of ${JSON.stringify(line)}`, () => assert.equal(find(line), level));

test('levels: depth and names are the tenant’s', () => {
  const nested = '{"a":{"b":{"gravity":"wrn"}}}';
  assert.equal(find(nested, new LevelFinder(['gravity'], 2)), 'unknown');
  assert.equal(find(nested, new LevelFinder(['gravity'], 3)), 'warn');
  assert.equal(find(nested, new LevelFinder(['gravity'], 0)), 'warn');
  assert.equal(find('level=wrn', new LevelFinder(['gravity'], 0)), 'unknown');
});

test('levels: brackets without end do not exhaust the stack', () => {
  assert.equal(find(`${'{"a":'.repeat(100_000)}}`, new LevelFinder(['level'], 0)), 'unknown');
});

// What a real Loki found in every line that the conformance cases show with its stream and metadata.

interface DataEntry {
  labels: Record<string, string>;
  t: bigint;
  line: string;
  meta?: Record<string, string>;
}

const CASES = new URL('../../conformance/cases/', import.meta.url);

test('levels: as Loki found them in the conformance data', async () => {
  const dataset = new URL('../../conformance/dataset.mjs', import.meta.url).href;
  const { buildDataset } = await import(dataset);
  const byTime = new Map<string, DataEntry[]>();
  for (const { labels, entries } of buildDataset(JSON.parse(readFileSync(new URL('dataset.json', CASES), 'utf8'))).streams) {
    for (const entry of entries as DataEntry[]) {
      const key = `${labels.app} ${entry.t}`;
      byTime.set(key, [...(byTime.get(key) ?? []), { ...entry, labels }]);
    }
  }
  const seen = new Set<DataEntry>();
  for (const { labels, values } of shownStreams()) {
    for (const [time, line, extra] of values) {
      const all: Record<string, string> = { ...labels, ...extra?.structuredMetadata, ...extra?.parsed };
      const found = byTime.get(`${all.app} ${nanoseconds(time)}`)?.filter((entry) => entry.line === line) ?? [];
      if (found.length !== 1 || all.detected_level === undefined) continue;
      seen.add(found[0]);
      assert.equal(levelOfEntry(found[0]), all.detected_level, line);
    }
  }
  assert.ok(seen.size > 600, `${seen.size} lines`);
});

function levelOfEntry({ labels, meta = {}, line }: DataEntry): string {
  const name = logLevelFields.find((field) => labels[field] ?? meta[field]);
  const given = name === undefined ? undefined : (labels[name] ?? meta[name]);
  return given === undefined ? find(line) : (levelOf(given) ?? given);
}

interface ShownStream {
  labels: Record<string, string>;
  values: [time: string, line: string, extra?: { structuredMetadata?: Record<string, string>; parsed?: Record<string, string> }][];
}

function shownStreams(): ShownStream[] {
  const files = readdirSync(CASES).filter((name) => name !== 'dataset.json');
  const expected = files.flatMap((name) =>
    JSON.parse(readFileSync(new URL(name, CASES), 'utf8')).map(({ expected }: { expected: object }) => expected),
  );
  const streams: Partial<ShownStream>[] = expected.flatMap((answer) => answer?.body?.streams ?? []);
  return streams.filter((stream): stream is ShownStream => stream.values !== undefined);
}

function nanoseconds(seconds: string): bigint {
  const [whole, fraction = ''] = seconds.split('.');
  return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
}
