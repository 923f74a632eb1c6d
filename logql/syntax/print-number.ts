/** A number as Go's %v writes a float64: shortest digits that read back as the same number, an exponent from 1e6 up and below 1e-4. */
export function printNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude >= 1e6 || magnitude < 1e-4)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return Object.is(value, -0) ? '-0' : String(value);
}

/** A number without an exponent, shortest digits that read back as the same number: how sample values are written. */
export function printSample(value: number): string {
  if (Math.abs(value) < 1e21 && Number.isInteger(value) && !Object.is(value, -0)) return String(value);
  const text = printNumber(value);
  const exponent = text.indexOf('e');
  if (exponent < 0) return text;
  const power = Number(text.slice(exponent + 1));
  const [, sign, whole, fraction = ''] = /^(-?)(\d)(?:\.(\d+))?$/.exec(text.slice(0, exponent))!;
  const digits = whole + fraction;
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`;
  return digits.length > power + 1
    ? `${sign}${digits.slice(0, power + 1)}.${digits.slice(power + 1)}`
    : `${sign}${digits.padEnd(power + 1, '0')}`;
}
