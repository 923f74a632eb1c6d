// Turns server answers into a canonical, base-relative form and compares two of them.

/** Labels with sorted keys, so that equal label sets serialise equally. */
function sortedLabels(labels) {
  return Object.fromEntries(Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function byLabels(a, b) {
  const left = JSON.stringify(a.labels);
  const right = JSON.stringify(b.labels);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Nanosecond timestamp (string) as decimal seconds after the base. */
function relativeNs(timestamp, baseNs) {
  let delta = BigInt(timestamp) - baseNs;
  const sign = delta < 0n ? '-' : '';
  if (delta < 0n) delta = -delta;
  const fraction = String(delta % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${sign}${delta / 1_000_000_000n}${fraction ? `.${fraction}` : ''}`;
}

/** Seconds timestamp (number) as seconds after the base, to the millisecond. */
function relativeSeconds(timestamp, baseNs) {
  return Math.round(Number(timestamp) * 1000 - Number(baseNs / 1_000_000n)) / 1000;
}

function normaliseQuery(data, { baseNs, ordered }) {
  const point = ([timestamp, value]) => [relativeSeconds(timestamp, baseNs), value];
  const { resultType, result } = data;
  const sort = (list) => (ordered ? list : list.sort(byLabels));
  switch (resultType) {
    case 'streams': {
      const streams = (result ?? []).map(({ stream, values }) => ({
        labels: sortedLabels(stream),
        values: values.map(([timestamp, line, extra]) => {
          const entry = [relativeNs(timestamp, baseNs), line];
          if (extra !== undefined)
            entry.push(
              Object.fromEntries(
                Object.entries(extra)
                  .sort()
                  .map(([kind, labels]) => [kind, sortedLabels(labels)]),
              ),
            );
          return entry;
        }),
      }));
      return { resultType, ...(data.encodingFlags ? { encodingFlags: data.encodingFlags } : {}), streams: streams.sort(byLabels) };
    }
    case 'matrix':
      return {
        resultType,
        series: sort((result ?? []).map(({ metric, values }) => ({ labels: sortedLabels(metric), points: values.map(point) }))),
      };
    case 'vector':
      return {
        resultType,
        series: sort((result ?? []).map(({ metric, value }) => ({ labels: sortedLabels(metric), points: [point(value)] }))),
      };
    case 'scalar':
    case 'string': {
      // The oracle gives scalar times in milliseconds; seconds are accepted as well.
      const [timestamp, value] = result;
      return { resultType, points: [point([timestamp > 1e11 ? timestamp / 1000 : timestamp, value])] };
    }
    default:
      return data;
  }
}

function normaliseDeletes(list, baseNs) {
  return list
    .map(({ query, status, start_time: start, end_time: end }) => ({
      query,
      status,
      start: relativeSeconds(start, baseNs),
      end: relativeSeconds(end, baseNs),
    }))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function sortedBy(list, key) {
  return [...(list ?? [])].sort((a, b) => (a[key] < b[key] ? -1 : a[key] > b[key] ? 1 : 0));
}

/** Canonical body of a successful answer. */
export function normalise(kind, { text, contentType }, context) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return text.trim() === '' ? {} : { text: text.trim() };
  }
  if (kind === 'raw') return contentType.includes('json') ? body : { text: text.trim() };
  if (body?.data?.resultType) return normaliseQuery(body.data, context);
  switch (kind) {
    case 'labels':
    case 'label_values':
      return { values: [...(body.data ?? [])].sort() };
    case 'series':
      return { series: (body.data ?? []).map((labels) => ({ labels: sortedLabels(labels) })).sort(byLabels) };
    case 'stats': {
      const { streams, entries, bytes } = body;
      return { streams, entries, bytes };
    }
    case 'format_query':
      return { data: body.data };
    case 'detected_fields':
      return {
        fields: sortedBy(body.fields, 'label').map((field) => ({ ...field, parsers: field.parsers && [...field.parsers].sort() })),
        limit: body.limit,
      };
    case 'detected_field_values':
      return { values: [...(body.values ?? [])].sort(), limit: body.limit };
    case 'detected_labels':
      return { labels: sortedBy(body.detectedLabels, 'label') };
    case 'patterns':
      return {
        patterns: (body.data ?? [])
          .map(({ pattern, level, samples }) => ({
            pattern,
            level,
            points: samples.map(([t, n]) => [relativeSeconds(t, context.baseNs), String(n)]),
          }))
          .sort((a, b) => (`${a.pattern} ${a.level}` < `${b.pattern} ${b.level}` ? -1 : 1)),
      };
    case 'delete':
      return Array.isArray(body) ? { deletes: normaliseDeletes(body, context.baseNs) } : body;
    default:
      return body;
  }
}

/** Error text without the parts that legitimately vary: times, ids, trailing space. */
export function normaliseMessage(text) {
  let message = text.trim();
  try {
    const body = JSON.parse(message);
    message = body.message ?? body.error ?? message;
  } catch {
    /* plain text */
  }
  return message
    .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}( UTC)?|Z)?/g, '<time>')
    .replace(/\b1[67]\d{8,17}\b/g, '<time>');
}

function numbersAgree(a, b, tolerance) {
  if (a === b) return true;
  const left = Number(a === '+Inf' ? Infinity : a === '-Inf' ? -Infinity : a);
  const right = Number(b === '+Inf' ? Infinity : b === '-Inf' ? -Infinity : b);
  if (Number.isNaN(left) || Number.isNaN(right)) return a === b;
  if (!Number.isFinite(left) || !Number.isFinite(right)) return left === right;
  return Math.abs(left - right) <= tolerance * Math.max(Math.abs(left), Math.abs(right)) + 1e-12;
}

const short = (value) => {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 220 ? `${text.slice(0, 220)}… (${text.length} chars)` : text;
};

/** First difference between two normalised answers, as text; null when they agree. Messages are compared elsewhere. */
export function difference(expected, actual, path = '', key = '') {
  if (key === 'message') return null;
  if (key === 'points' && Array.isArray(expected) && Array.isArray(actual)) {
    if (expected.length !== actual.length)
      return `${path}: expected ${expected.length} points ${short(expected)}, got ${actual.length} ${short(actual)}`;
    for (const [i, [time, value]] of expected.entries()) {
      const [otherTime, otherValue] = actual[i];
      if (time !== otherTime || typeof value !== typeof otherValue || !numbersAgree(value, otherValue, 1e-9))
        return `${path}[${i}]: expected ${short([time, value])}, got ${short(actual[i])}`;
    }
    return null;
  }
  if (key === 'cardinality') {
    return numbersAgree(expected, actual, 0.05) ? null : `${path}: expected about ${expected}, got ${actual}`;
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    for (let i = 0; i < Math.min(expected.length, actual.length); i += 1) {
      const found = difference(expected[i], actual[i], `${path}[${i}]`);
      if (found) return found;
    }
    if (expected.length === actual.length) return null;
    return expected.length > actual.length
      ? `${path}: expected ${expected.length} items, got ${actual.length}; missing ${short(expected[actual.length])}`
      : `${path}: expected ${expected.length} items, got ${actual.length}; extra ${short(actual[expected.length])}`;
  }
  if (
    expected &&
    actual &&
    typeof expected === 'object' &&
    typeof actual === 'object' &&
    Array.isArray(expected) === Array.isArray(actual)
  ) {
    if (expected.status >= 500 && actual.status >= 400) return null; // the oracle's own failure: any error will do
    if ('status' in expected && expected.status !== actual.status)
      return `${path || 'answer'}: expected status ${expected.status}, got ${actual.status} ${short(actual.message ?? '')}`;
    for (const name of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const found = difference(expected[name], actual[name], path ? `${path}.${name}` : name, name);
      if (found) return found;
    }
    return null;
  }
  return Object.is(expected, actual) ? null : `${path}: expected ${short(expected)}, got ${short(actual)}`;
}
