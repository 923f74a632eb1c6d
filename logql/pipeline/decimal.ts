/** digits × 10^-scale, exactly: what Go's templates reckon floating point numbers in. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

/** Digits behind the point that a division goes to. */
const DIVISION_SCALE = 16;

/** From the shortest text that says `value`, which must be finite. */
export function toDecimal(value: number): Decimal {
  const [mantissa, exponent] = value.toExponential().split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  return scale < 0 ? { digits: digits * 10n ** BigInt(-scale), scale: 0 } : { digits, scale };
}

export function fromDecimal({ digits, scale }: Decimal): number {
  return Number(`${digits}e-${scale}`);
}

function align(a: Decimal, b: Decimal): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale);
  return [a.digits * 10n ** BigInt(scale - a.scale), b.digits * 10n ** BigInt(scale - b.scale), scale];
}

export const DECIMAL_OPS = {
  add(a: Decimal, b: Decimal): Decimal {
    const [left, right, scale] = align(a, b);
    return { digits: left + right, scale };
  },
  sub(a: Decimal, b: Decimal): Decimal {
    const [left, right, scale] = align(a, b);
    return { digits: left - right, scale };
  },
  mul(a: Decimal, b: Decimal): Decimal {
    return { digits: a.digits * b.digits, scale: a.scale + b.scale };
  },
  /** Rounds half away from zero. Throws Error for b = 0. */
  div(a: Decimal, b: Decimal): Decimal {
    if (b.digits === 0n) throw new Error('decimal division by 0');
    const [left, right] = align(a, b);
    const scaled = left * 10n ** BigInt(DIVISION_SCALE + 1);
    const quotient = scaled / right;
    const rest = quotient % 10n;
    const carry = rest >= 5n ? 1n : rest <= -5n ? -1n : 0n;
    return { digits: quotient / 10n + carry, scale: DIVISION_SCALE };
  },
};
