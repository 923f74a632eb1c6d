/** A time as in RFC 3339, in nanoseconds since 1970; digits beyond them are cut. Undefined if `text` is no such time. */
export function parseRfc3339(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [, seconds, fraction = '', zone] = match;
  const local = Date.parse(`${seconds}Z`);
  const ms = Date.parse(`${seconds}${zone}`);
  // Date.parse takes 2026-02-30 and 24:00:00 for other times.
  if (Number.isNaN(ms) || new Date(local).toISOString().slice(0, seconds.length) !== seconds) return undefined;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
