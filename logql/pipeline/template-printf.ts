import { quoteGo } from '../model.ts';
import { bounded, fromBytes, plainDecimal, printFloat, printValue, toBytes, typeName, type Value, withExponent } from './template-value.ts';

/** Widths and precisions beyond this are refused, as in Go. */
const MOST_WIDTH = 1_000_000;
const VERB = /%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?(?:\[(\d*)\])?([\s\S])?/g;

interface Spec {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly verb: string;
}

/** Go's fmt.Sprintf over byte strings. */
export function sprintf(format: string, args: readonly Value[]): string {
  let next = 0;
  let reordered = false;
  let out = '';
  let done = 0;
  const star = (text: string | undefined): number | undefined => {
    if (text !== '*') return text === undefined ? undefined : Number(text);
    const value = args[next++];
    return typeof value === 'bigint' ? Number(value) : undefined;
  };
  for (const match of format.matchAll(VERB)) {
    out += format.slice(done, match.index);
    done = match.index + match[0].length;
    const [, flags, widthText, precisionText, index, verb] = match;
    if (verb === undefined) out += '%!(NOVERB)';
    else if (verb === '%') out += '%';
    else {
      const width = star(widthText) ?? 0;
      const precision = star(precisionText);
      if (index !== undefined) {
        reordered = true;
        next = Number(index) - 1;
      }
      if (Math.abs(width) > MOST_WIDTH || (precision ?? 0) > MOST_WIDTH) out += '%!(BADWIDTH)';
      else if (index !== undefined && !(next >= 0 && next < args.length)) out += `%!${verb}(BADINDEX)`;
      else if (next >= args.length) out += `%!${verb}(MISSING)`;
      else out += formatOne({ flags: width < 0 ? `${flags}-` : flags, width: Math.abs(width), precision, verb }, args[next++]);
      bounded(out.length);
    }
  }
  out += format.slice(done);
  if (reordered || next >= args.length) return out;
  const extra = args
    .slice(next)
    .map((value) => (value === null || value === undefined ? '<nil>' : `${typeName(value)}=${printValue(value)}`));
  return `${out}%!(EXTRA ${extra.join(', ')})`;
}

function formatOne(spec: Spec, value: Value): string {
  const text = render(spec, value);
  if (text === undefined) {
    const what = value === null || value === undefined ? '<nil>' : `${typeName(value)}=${printValue(value)}`;
    return `%!${spec.verb}(${what})`;
  }
  return padTo(text, spec);
}

function padTo(text: string, { flags, width }: Spec): string {
  const size = fromBytes(text).length === text.length ? text.length : [...fromBytes(text)].length;
  if (size >= width) return text;
  if (flags.includes('-')) return text + ' '.repeat(width - size);
  if (!flags.includes('0')) return ' '.repeat(width - size) + text;
  const sign = /^[-+]/.exec(text)?.[0] ?? '';
  return sign + '0'.repeat(width - size) + text.slice(sign.length);
}

/** undefined if the verb does not go with the value. */
function render(spec: Spec, value: Value): string | undefined {
  if (spec.verb === 'T') return typeName(value);
  if (typeof value === 'bigint') return renderInteger(spec, value);
  if (typeof value === 'number') return renderFloat(spec, value);
  if (typeof value === 'boolean') return spec.verb === 't' || spec.verb === 'v' ? String(value) : undefined;
  if (typeof value === 'string') return renderString(spec, value);
  if (value === undefined || value === null) return spec.verb === 'v' ? '<nil>' : undefined;
  if (Array.isArray(value) && spec.verb !== 'v') return `[${value.map((element) => formatOne(spec, element)).join(' ')}]`;
  if (value instanceof Map && spec.verb !== 'v') {
    const pairs = [...(value as ReadonlyMap<string, Value>)].sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, inner]) => `${formatOne(spec, key)}:${formatOne(spec, inner)}`).join(' ')}]`;
  }
  return spec.verb === 'v' || spec.verb === 's' ? printValue(value) : undefined;
}

function signed({ flags }: Spec, text: string): string {
  if (text.startsWith('-')) return text;
  return flags.includes('+') ? `+${text}` : flags.includes(' ') ? ` ${text}` : text;
}

function renderInteger(spec: Spec, value: bigint): string | undefined {
  const size = value < 0n ? -value : value;
  const sign = value < 0n ? '-' : '';
  const alternate = spec.flags.includes('#');
  switch (spec.verb) {
    case 'd':
    case 'v':
      return signed(spec, sign + size.toString());
    case 'x':
      return signed(spec, `${sign}${alternate ? '0x' : ''}${size.toString(16)}`);
    case 'X':
      return signed(spec, `${sign}${alternate ? '0X' : ''}${size.toString(16).toUpperCase()}`);
    case 'o':
      return signed(spec, `${sign}${alternate ? '0' : ''}${size.toString(8)}`);
    case 'b':
      return signed(spec, sign + size.toString(2));
    case 'c':
      return toBytes(value >= 0n && value <= 0x10ffffn ? String.fromCodePoint(Number(value)) : '\ufffd');
    case 'q':
      return toBytes(`'${String.fromCodePoint(Number(value))}'`);
    case 'U':
      return `U+${size.toString(16).toUpperCase().padStart(4, '0')}`;
    default:
      return undefined;
  }
}

function renderFloat(spec: Spec, value: number): string | undefined {
  const precision = spec.precision ?? 6;
  if (!'vgGfFeE'.includes(spec.verb)) return undefined;
  if (!Number.isFinite(value)) return signed(spec, printFloat(value));
  if (Object.is(value, -0)) return `-${renderFloat({ ...spec, flags: spec.flags.replace(/[+ ]/g, '') }, 0)}`;
  switch (spec.verb) {
    case 'f':
    case 'F':
      if (Math.abs(value) < 1e21) return signed(spec, value.toFixed(Math.min(precision, 100)));
      return signed(spec, `${BigInt(value)}${precision === 0 ? '' : `.${'0'.repeat(precision)}`}`);
    case 'e':
    case 'E': {
      const [mantissa, exponent] = value.toExponential(Math.min(precision, 100)).split('e');
      const text = withExponent(mantissa, Number(exponent));
      return signed(spec, spec.verb === 'E' ? text.toUpperCase() : text);
    }
    default: {
      if (spec.precision === undefined) return signed(spec, printFloat(value));
      const [mantissa, exponent] = value.toExponential(Math.max(Math.min(precision, 100) - 1, 0)).split('e');
      const power = Number(exponent);
      const short = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
      return signed(
        spec,
        power < -4 || power >= Math.max(precision, 1) ? withExponent(short, power) : plainDecimal(Number(`${mantissa}e${exponent}`)),
      );
    }
  }
}

function renderString({ verb, precision, flags }: Spec, value: string): string | undefined {
  const cut = precision === undefined ? value : toBytes([...fromBytes(value)].slice(0, precision).join(''));
  switch (verb) {
    case 'v':
    case 's':
      return cut;
    case 'q':
      return flags.includes('#') && !cut.includes('`') ? `\`${cut}\`` : toBytes(quoteGo(fromBytes(cut)));
    case 'x':
      return Buffer.from(cut, 'latin1').toString('hex');
    case 'X':
      return Buffer.from(cut, 'latin1').toString('hex').toUpperCase();
    default:
      return undefined;
  }
}
