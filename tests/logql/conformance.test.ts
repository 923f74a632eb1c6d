import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseDuration } from '../../logql/syntax/units.ts';
import { Fault } from '../../ops/base/fault.ts';
import { BASE_NS, CONFORMANCE, ConformanceStore } from '../support/conformance-store.ts';

/** The recorded answers of a real Loki, for what the engine alone can answer: queries over the conformance data, without a server. */
interface Case {
  readonly id: string;
  readonly kind: string;
  readonly params: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly ordered?: boolean;
  readonly unstable?: boolean;
  readonly expected: { readonly status: number; readonly body?: unknown };
}

const CATEGORIES = [
  'binary_operations',
  'drop_keep',
  'edges',
  'error_labels',
  'label_filters',
  'label_format',
  'label_replacements',
  'line_filters',
  'line_format',
  'ordering',
  'parser_json',
  'parser_logfmt',
  'parser_other',
  'query_errors',
  'range_aggregations',
  'selectors',
  'stepping',
  'structured_metadata',
  'unwrap',
  'vector_aggregations',
];
/** Parameters that the gateway refuses, before the engine is asked. */
const GATEWAY = new Set([
  'query_errors-101',
  'query_errors-102',
  'query_errors-104',
  'query_errors-105',
  'query_errors-106',
  'query_errors-107',
  'query_errors-108',
  'query_errors-109',
]);

/** Cases that may fail; see the README there. */
const excepted = new Set([
  ...readFileSync(new URL('failing.txt', CONFORMANCE), 'utf8').split('\n'),
  ...Object.keys(JSON.parse(readFileSync(new URL('deviations.json', CONFORMANCE), 'utf8'))),
]);
const { normalise, difference } = await import(new URL('normalise.mjs', CONFORMANCE).href);

for (const shards of [1, 3]) {
  const store = await ConformanceStore.open(shards);
  for (const category of CATEGORIES) {
    const cases = JSON.parse(readFileSync(new URL(`cases/${category}.json`, CONFORMANCE), 'utf8')) as Case[];
    test(`conformance: ${category}, ${shards} shards`, () => {
      const failed: string[] = [];
      for (const one of cases) {
        if (one.unstable || GATEWAY.has(one.id) || (one.kind !== 'range' && one.kind !== 'instant')) continue;
        const found = difference(one.expected, answer(store, one));
        if (found && !excepted.has(one.id)) failed.push(`${one.id} ${one.params.query}\n    ${found}`);
      }
      assert.equal(failed.length, 0, `${failed.length} of ${cases.length}:\n${failed.join('\n')}`);
    });
  }
}

function answer(store: ConformanceStore, { kind, params, headers, ordered }: Case): { status: number; body?: unknown; message?: string } {
  try {
    const chunks =
      kind === 'instant' ? store.instant(params.query ?? '', time(params.time)) : store.range(rangeParameters(params, headers));
    const text = Buffer.concat(chunks).toString();
    return {
      status: 200,
      body: normalise(kind, { text, contentType: 'application/json' }, { baseNs: BASE_NS, ordered: ordered === true }),
    };
  } catch (error) {
    if (error instanceof Fault && error.status < 500) return { status: error.status, message: error.message };
    throw error;
  }
}

function rangeParameters(params: Record<string, string>, headers: Record<string, string> = {}) {
  const startNs = time(params.start);
  const endNs = time(params.end);
  const seconds = Number((endNs - startNs) / 1_000_000_000n);
  return {
    query: params.query ?? '',
    startNs,
    endNs,
    stepNs: params.step === undefined ? Math.max(Math.floor(seconds / 250), 1) * 1e9 : span(params.step),
    intervalNs: params.interval === undefined ? 0 : span(params.interval),
    limit: Number(params.limit ?? 100),
    direction: params.direction?.toLowerCase() === 'forward' ? ('forward' as const) : ('backward' as const),
    categorize: headers['X-Loki-Response-Encoding-Flags'] === 'categorize-labels',
  };
}

/** `@12.5`: seconds after the base. */
function time(text: string): bigint {
  const [, sign, whole, fraction = ''] = /^@(-?)(\d+)(?:\.(\d+))?$/.exec(text)!;
  const offset = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  return sign === '-' ? BASE_NS - offset : BASE_NS + offset;
}

function span(text: string): number {
  return /^[\d.]+$/.test(text) ? Number(text) * 1e9 : parseDuration(text);
}
