// Deterministic log dataset. Everything derives from a seed and an optional
// word map; no clock, no randomness beyond the seeded generator. Times are
// nanosecond offsets (BigInt) from a base instant chosen by the caller.

const SECOND = 1_000_000_000n;
const MILLI = 1_000_000n;

export const DATASET_SECONDS = 7200;

/** Small seeded generator (mulberry32) with a few helpers. */
function randomSource(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
  return {
    int: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (list) => list[Math.floor(next() * list.length)],
    chance: (probability) => next() < probability,
    hex: (digits) => Array.from({ length: digits }, () => Math.floor(next() * 16).toString(16)).join(''),
  };
}

/** Returns a function replacing whole words (letters and digits; `_` separates) by the word map. */
export function wordRenamer(words = {}) {
  const keys = Object.keys(words);
  if (keys.length === 0) return (text) => text;
  const pattern = new RegExp(`(?<![A-Za-z0-9])(?:${keys.join('|')})(?![A-Za-z0-9])`, 'g');
  return (text) => text.replace(pattern, (word) => words[word]);
}

const WORDS = ['amber', 'birch', 'cedar', 'delta', 'ember', 'fjord', 'grove', 'heron'];
const NAMES = ['Zoë', 'Łukasz', 'Mina', '山田', 'Omar', "O'Neil"];

function jsonOrder(r, k) {
  if (k % 23 === 7)
    return r.pick([
      '{"level":"error","msg":"truncated reco',
      '{"level": broken}',
      'not json at all: level=info',
      '["an","array","line"]',
      '"just a string"',
      '{}',
      '42',
    ]);
  const status = r.pick([200, 200, 200, 201, 302, 404, 500, 503]);
  const level = status >= 500 ? 'error' : status >= 400 ? 'warn' : r.pick(['info', 'info', 'debug']);
  const record = {
    level,
    msg: r.pick(['order placed', 'order "rush" placed', 'stock checked', 'tab\there', 'naïve café ☕', 'back\\slash']),
    request: { method: r.pick(['GET', 'POST', 'PUT']), path: `/cart/${r.int(1, 9)}`, headers: { 'x-id': r.hex(4), accept: '*/*' } },
    status,
    latency_ms: r.int(1, 4000) / 8,
    took: r.pick(['1.5s', '320ms', '2m3s', '75us', '12ms']),
    size: r.pick(['5KB', '2.3MiB', '812B', '64kB']),
    user: { id: r.int(1, 20), name: r.pick(NAMES) },
    tags: [r.pick(WORDS), r.pick(WORDS)],
    items: [
      { sku: `S-${r.int(10, 14)}`, qty: r.int(1, 4) },
      { sku: `S-${r.int(15, 19)}`, qty: 1 },
    ],
    coupon: null,
    ok: status < 400,
  };
  if (k % 5 === 0) record.client = `10.2.${r.int(0, 3)}.${r.int(1, 250)}`;
  if (k % 11 === 0) record.env = 'from-json';
  if (k % 17 === 0) record.big = 1e21;
  if (k % 19 === 0) record.ratio = -0.25;
  return JSON.stringify(record);
}

function logfmtPayment(r, k) {
  if (k % 29 === 3)
    return r.pick([
      'level=error msg="unterminated quote amount=12',
      '=novalue level=info',
      'level=warn "bad key"=1 user=u3',
      'plain words without pairs',
    ]);
  const level = r.pick(['info', 'info', 'info', 'warn', 'error', 'debug']);
  const amount = (r.int(100, 99999) / 100).toFixed(2);
  let line =
    `level=${level} caller=pay.go:${r.int(10, 99)} msg="${r.pick(['card charged', 'refund \\"issued\\"', 'fraud check', 'settled'])}"` +
    ` amount=${amount} currency=${r.pick(['EUR', 'USD', 'JPY'])} took=${r.pick(['1.5s', '320ms', '2h3m', '950us', '40ms', '5s'])}` +
    ` size=${r.pick(['5KB', '2.3MiB', '900', '1GB', '12kb'])} user=u${r.int(1, 12)} attempt=${r.int(1, 3)}`;
  if (k % 6 === 1) line += ' retry= flagged';
  if (k % 13 === 2) line += ` user=u${r.int(50, 60)}`;
  if (k % 31 === 4) line += ' amount_raw=12,50 note="a=b c"';
  return line;
}

function nginxLine(r) {
  const status = r.pick([200, 200, 200, 200, 204, 301, 304, 404, 404, 499, 500, 502]);
  const ip = r.chance(0.15) ? `2001:db8:0:${r.int(1, 4)}::${r.int(1, 99).toString(16)}` : `192.168.${r.int(0, 4)}.${r.int(1, 254)}`;
  const path = r.pick([
    '/',
    '/index.html',
    '/api/v1/items',
    `/api/v1/items/${r.int(1, 50)}`,
    '/static/app.js',
    '/login?next=%2Fhome',
    '/healthz',
  ]);
  const agent = r.pick(['Mozilla/5.0 (X11; Linux x86_64)', 'curl/8.4.0', 'kube-probe/1.29', 'Googlebot/2.1']);
  return (
    `${ip} - ${r.pick(['-', 'alice', 'bob'])} [15/Jan/2026:10:${r.int(10, 59)}:${r.int(10, 59)} +0000] "${r.pick(['GET', 'GET', 'POST', 'HEAD'])} ${path} HTTP/1.1"` +
    ` ${status} ${r.int(0, 50000)} "${r.pick(['-', 'https://example.org/start'])}" "${agent}" ${(r.int(1, 3000) / 1000).toFixed(3)}`
  );
}

function stackTrace(r, k) {
  if (k % 3 !== 0) return `INFO  [main] Batch ${r.int(1, 9)} finished in ${r.int(10, 900)} ms`;
  const kind = r.pick(['IllegalStateException', 'NullPointerException', 'TimeoutException']);
  return `ERROR [pool-${r.int(1, 4)}] java.lang.${kind}: ${r.pick(['ledger closed', 'no row', 'late'])}\n\tat org.acme.Ledger.post(Ledger.java:${r.int(10, 400)})\n\tat org.acme.Main.run(Main.java:${r.int(10, 90)})\nCaused by: java.io.IOException: disk`;
}

function oddJson(r, k) {
  return JSON.stringify({
    'http.status': r.pick([200, 418]),
    'user-agent': r.pick(['curl', 'wget']),
    '3xx': r.int(0, 2),
    'a b': 'sp ace',
    _ok: 'y',
    nested: { 'x.y': r.int(1, 3), 0: 'zero', deep: { er: { still: r.pick(WORDS) } } },
    ünï: 'accent',
    app: 'shadow',
    'semi:colon': 'c',
    ...(k % 4 === 0 ? { a_b: 'under' } : {}),
    ...(k % 7 === 0 ? { nested_deep: 'flat' } : {}),
  });
}

function oddLogfmt(r) {
  return `http.method=${r.pick(['GET', 'PUT'])} user-agent="${r.pick(['curl/8', 'wget'])}" 1st=first app=shadow env=fake ünï=x a/b=slash level=${r.pick(['warn', 'info'])} n=${r.int(1, 9)}`;
}

function workerLine(r, k) {
  const bad = k % 14 === 5;
  return (
    `job=${r.pick(['resize', 'encode', 'mail'])} took=${bad ? 'fast' : r.pick(['1.5s', '320ms', '2h3m', '15s', '1m', '750ms', '0s'])}` +
    ` size=${k % 15 === 6 ? 'big' : r.pick(['5KB', '2.3MiB', '0B', '17kB', '1.5MB', '900B'])} queue=${r.int(0, 40)} load=${(r.int(-500, 900) / 100).toFixed(2)}` +
    ` sci=${r.pick(['1e3', '2.5E-2', '0x10', 'NaN', 'Inf', '7'])} shard=${k % 3}`
  );
}

function gatewayLine(r, k) {
  const v4 = r.pick([`10.0.${r.int(0, 3)}.${r.int(1, 254)}`, `172.16.${r.int(0, 9)}.${r.int(1, 254)}`, '8.8.8.8', '192.0.2.17']);
  const v6 = r.pick(['2001:db8::1', '2001:db8:1::beef', 'fe80::42', '::1', '2001:0db8:0000:0000:0000:0000:0000:00ff']);
  if (k % 10 === 9) return `addr=bogus.300.1.2 peer=none verdict=drop bytes=${r.int(1, 99)}`;
  return `addr=${v4} peer=${v6} verdict=${r.pick(['allow', 'deny'])} bytes=${r.int(1, 9999)} via ${v4}:51${r.int(100, 999)}`;
}

function ansiLine(r) {
  const colour = r.pick([31, 32, 33, 36]);
  return `\u001b[${colour}m${r.pick(['level=info', 'level=error'])}\u001b[0m \u001b[1;4mstep=${r.int(1, 9)}\u001b[0m done=${r.pick(['yes', 'no'])}`;
}

function packedLine(r, k) {
  if (k % 12 === 4)
    return r.pick(['{"_entry": 5, "container":"c9"}', 'no pack here', '{"container":"c1","note":"no entry"}', '{"_entry":"unclosed']);
  return JSON.stringify({
    container: `c${r.int(1, 3)}`,
    node: `n${r.int(1, 2)}`,
    ...(k % 8 === 0 ? { app: 'inner' } : {}),
    num: r.int(1, 5),
    _entry: `level=${r.pick(['info', 'warn'])} unit=${r.pick(WORDS)} msg="from ${r.pick(WORDS)}"`,
  });
}

const LEVEL_LINES = {
  json: (r, k) => {
    const names = ['level', 'severity', 'lvl', 'LEVEL', 'Severity', 'log_level'];
    const values = ['WARN', 'warning', 'Error', 'err', 'FATAL', 'critical', 'debug', 'TRACE', 'Info', 'information', 'notice', 'wrn'];
    return JSON.stringify({
      [names[k % names.length]]: values[k % values.length === 0 ? r.int(0, 11) : k % values.length],
      msg: 'levels vary',
    });
  },
  logfmt: (r, k) =>
    `${['level', 'severity', 'lvl', 'LEVEL'][k % 4]}=${r.pick(['WARN', 'warning', 'Error', 'err', 'FATAL', 'critical', 'dbg', 'trc', 'inf', 'unheard'])} msg="levels vary"`,
  plain: (_r, k) =>
    [
      'something INFO happened',
      'ERROR: bad thing',
      'a warning was issued',
      'fatal crash',
      'nothing to see',
      'Debug detail',
      'the err value',
      'critical path',
      '[trace] deep',
      'level unknown',
    ][k % 10],
};

function entriesEvery(count, everyMs, startMs, stream, makeLine, meta) {
  return Array.from({ length: count }, (_, k) => ({
    t: BigInt(startMs + k * everyMs) * MILLI + BigInt(stream) * 1000n + BigInt((k * 37) % 1000),
    line: makeLine(k),
    meta: meta ? meta(k) : undefined,
  }));
}

/**
 * Builds the dataset. Returns { streams: [{ labels, entries }] }; entries of a
 * stream are in push order, which is not always time order.
 */
export function buildDataset({ seed = 1, rename = {} } = {}) {
  const r = randomSource(seed);
  const streams = [];
  const add = (labels, count, everyMs, startMs, makeLine, meta) => {
    streams.push({ labels, entries: entriesEvery(count, everyMs, startMs, streams.length + 1, makeLine, meta) });
  };
  const addExact = (labels, entries) => streams.push({ labels, entries });

  add({ app: 'checkout', env: 'prod', region: 'eu-west', format: 'json' }, 600, 11_900, 1_000, (k) => jsonOrder(r, k));
  add({ app: 'checkout', env: 'dev', region: 'us-east', format: 'json' }, 200, 35_500, 2_500, (k) => jsonOrder(r, k));
  add({ app: 'payments', env: 'prod', region: 'eu-west', format: 'logfmt' }, 600, 11_800, 700, (k) => logfmtPayment(r, k));
  add({ app: 'payments', env: 'dev', region: 'us-east', format: 'logfmt' }, 200, 35_000, 3_300, (k) => logfmtPayment(r, k));
  for (const instance of ['web-1', 'web-2']) {
    add({ app: 'web', env: 'prod', instance, format: 'nginx' }, 500, 14_300, instance === 'web-1' ? 400 : 900, () => nginxLine(r));
  }
  add({ app: 'legacy', env: 'prod', format: 'plain' }, 180, 39_000, 5_000, (k) => stackTrace(r, k));
  add({ app: 'oddjson', env: 'dev' }, 120, 59_000, 4_000, (k) => oddJson(r, k));
  add({ app: 'oddlogfmt', env: 'dev' }, 120, 59_500, 4_200, () => oddLogfmt(r));
  add({ app: 'worker', env: 'prod', format: 'logfmt' }, 480, 14_900, 800, (k) => workerLine(r, k));
  add({ app: 'gateway', env: 'prod' }, 240, 29_900, 1_300, (k) => gatewayLine(r, k));
  add({ app: 'console', env: 'dev' }, 100, 71_000, 6_000, () => ansiLine(r));
  add({ app: 'collector', env: 'prod' }, 160, 44_000, 7_000, (k) => packedLine(r, k));
  add(
    { app: 'orders', env: 'prod', region: 'eu-west' },
    360,
    19_700,
    1_100,
    (k) =>
      `${r.pick(['level=info', 'level=warn', 'level=error'])} msg="${r.pick(['created', 'shipped', 'cancelled'])}" pod=line-pod total=${r.int(1, 500)} trace_id=inline${k % 4}`,
    (k) => ({
      trace_id: r.hex(8),
      pod: `orders-${k % 3}`,
      ...(k % 9 === 0 ? { env: 'meta-env' } : {}),
      ...(k % 10 === 0 ? { 'http.route': '/o/:id', weight: String(r.int(1, 90)) } : {}),
    }),
  );
  add(
    { app: 'orders', env: 'dev', region: 'us-east' },
    120,
    58_000,
    1_700,
    () => JSON.stringify({ msg: r.pick(['created', 'shipped']), total: r.int(1, 500), pod: 'json-pod' }),
    (k) => (k % 2 === 0 ? { trace_id: r.hex(8), pod: `orders-${k % 2}`, took: r.pick(['15ms', '2s']) } : undefined),
  );
  for (const region of ['eu-west', 'us-east']) {
    for (const tier of ['front', 'back']) {
      add(
        { app: 'shop', env: 'prod', region, tier },
        150,
        47_000,
        900 + 1000 * streams.length,
        () => `code=${r.pick([200, 200, 500, 404])} ms=${r.int(1, 900)} kind=${r.pick(['view', 'buy'])} zone=${r.pick(['a', 'b'])}`,
      );
    }
  }
  addExact(
    { app: 'burst', env: 'dev' },
    Array.from({ length: 60 }, (_, k) => ({
      t: BigInt(Math.floor(k / 3) * 300) * SECOND,
      line: `n=${k} group=${Math.floor(k / 3)} slot=${k % 3}`,
    })),
  );
  addExact(
    { app: 'twins', env: 'dev' },
    Array.from({ length: 40 }, (_, k) => ({
      t: BigInt(Math.floor(k / 2) * 200 + 50) * SECOND,
      line: k % 8 < 4 ? `same=${Math.floor(k / 2)}` : `differs=${k}`,
    })),
  );
  const shuffled = entriesEvery(120, 50_000, 30_000, 60, (k) => `seq=${k} word=${r.pick(WORDS)}`);
  addExact({ app: 'shuffled', env: 'dev' }, [
    ...shuffled.slice(0, 40),
    ...shuffled.slice(60, 80),
    ...shuffled.slice(40, 60).reverse(),
    ...shuffled.slice(80).filter((_, k) => k % 2 === 1),
    ...shuffled.slice(80).filter((_, k) => k % 2 === 0),
  ]);
  const edgeLines = [
    '',
    ' ',
    'x'.repeat(20_000),
    'line with\nnewline',
    'tab\tand "quotes"',
    'emoji 🦊🚀',
    'null \u0000 byte',
    'combining e\u0301',
    '\\d+ regex (chars) [x] {y} *?',
    'percent %d %s %%',
    '{{ .app }} template',
    'trailing space ',
    'a|b|c',
    '`backtick`',
    'UPPER lower MiXeD',
    'Straße ΣΊΣΥΦΟΣ İstanbul',
    'CR\r\nLF',
    '=====',
    '{"a":1}{"b":2}',
    '1234567890',
  ];
  addExact(
    { app: 'edge', env: 'dev' },
    edgeLines.map((line, k) => ({ t: BigInt(100 + k * 60) * SECOND + 7n, line })),
  );
  for (const city of ['Zürich', '東京', 'a "quoted" \\ city']) {
    add(
      { app: 'atlas', env: 'dev', city },
      40,
      175_000,
      8_000 + 11 * streams.length,
      (k) => `visit=${k} temp=${r.int(-20, 40)} place="${r.pick(WORDS)}"`,
    );
  }
  for (const style of ['json', 'logfmt', 'plain']) {
    add({ app: 'levels', env: 'dev', style }, 60, 115_000, 9_000 + 13 * streams.length, (k) => LEVEL_LINES[style](r, k));
  }
  add({ app: 'levels', env: 'dev', style: 'label', level: 'WARN' }, 20, 300_000, 10_000, (k) => `level=error labelled ${k}`);
  let total = 0;
  add({ app: 'meter', env: 'prod', unit: 'hits' }, 240, 30_000, 15_000, (k) => {
    total = k % 70 === 69 ? r.int(0, 5) : total + r.int(0, 12);
    return `hits=${total} temp=${(r.int(-400, 400) / 10).toFixed(1)} host=h${k % 2}`;
  });
  addExact(
    { app: 'sparse', env: 'prod' },
    Array.from({ length: 13 }, (_, k) => ({ t: BigInt(k * 600) * SECOND, line: `tick=${k} v=${k * k}` })),
  );
  add({ app: 'chatty', env: 'prod' }, 300, 23_500, 2_200, () =>
    r.pick([
      `connection from ${r.int(1, 99)} accepted after ${r.int(1, 99)} tries`,
      `cache miss for key user:${r.int(1000, 9999)}`,
      `flushed ${r.int(1, 500)} pages to disk sda${r.int(1, 4)}`,
    ]),
  );
  // Quiet in the middle, for absence; busy again at the end.
  addExact(
    { app: 'quiet', env: 'dev' },
    [5, 65, 125, 185, 4200, 4260, 7100].map((s, k) => ({ t: BigInt(s) * SECOND + 91n, line: `beat=${k}` })),
  );
  add({ app: 'trash', env: 'dev' }, 30, 200_000, 12_000, (k) => `junk=${k} keep=${k % 2 === 0 ? 'yes' : 'no'}`);

  const word = wordRenamer(rename);
  const renameMap = (map) => map && Object.fromEntries(Object.entries(map).map(([key, value]) => [word(key), word(value)]));
  return {
    streams: streams.map((stream) => ({
      labels: renameMap(stream.labels),
      entries: stream.entries.map((entry) => ({ ...entry, line: word(entry.line), meta: renameMap(entry.meta) })),
    })),
  };
}

/** Splits the dataset into push request bodies (JSON push format), keeping each stream's push order. */
export function* pushBodies(dataset, baseNs, entriesPerPush = 200) {
  for (const { labels, entries } of dataset.streams) {
    for (let from = 0; from < entries.length; from += entriesPerPush) {
      const values = entries.slice(from, from + entriesPerPush).map(({ t, line, meta }) => {
        const value = [String(baseNs + t), line];
        if (meta) value.push(meta);
        return value;
      });
      yield { streams: [{ stream: labels, values }] };
    }
  }
}
