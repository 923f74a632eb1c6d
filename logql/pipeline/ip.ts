/** An address as a number of 32 or 128 bits. */
interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** Addresses of one family between two, both included. */
export interface IpRange {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly last: bigint;
}

/** Parses `10.0.0.1`, `10.0.0.1-10.0.0.9` or `10.0.0.0/8`, v4 or v6; undefined if it is none. */
export function parseIpRange(text: string): IpRange | undefined {
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const address = parseIp(text.slice(0, slash));
    const prefix = text.slice(slash + 1);
    if (address === undefined || !/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > address.bits) return undefined;
    const host = (1n << BigInt(address.bits - Number(prefix))) - 1n;
    return { bits: address.bits, first: address.value & ~host, last: address.value | host };
  }
  const dash = text.indexOf('-');
  const zone = /^([^%-]*:[^%-]*)%(.+)$/.exec(text);
  if (zone !== null) return parseIp(zone[1]) && { bits: 128, first: 1n, last: 0n }; // no address in a line has a zone
  const first = parseIp(dash < 0 ? text : text.slice(0, dash));
  const last = dash < 0 ? first : parseIp(text.slice(dash + 1));
  if (first === undefined || last === undefined || first.bits !== last.bits || first.value > last.value) return undefined;
  return { bits: first.bits, first: first.value, last: last.value };
}

export function parseIp(text: string): Address | undefined {
  if (!text.includes(':')) {
    const value = parseV4(text);
    return value === undefined ? undefined : { bits: 32, value: BigInt(value) };
  }
  const value = parseV6(text);
  return value === undefined ? undefined : { bits: 128, value };
}

function parseV4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  let groups = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const v4 = parseV4(dotted[2]);
    if (v4 === undefined) return undefined;
    groups = `${dotted[1]}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  const halves = groups.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 8 : given > 7) return undefined;
  const all = tail === undefined ? head : [...head, ...new Array<string>(8 - given).fill('0'), ...tail];
  let value = 0n;
  for (const group of all) {
    if (!/^[\da-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(Number.parseInt(group, 16));
  }
  return value;
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isHex = (byte: number): boolean => isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
const DOT = 0x2e;
const COLON = 0x3a;

/** `::` before a hexadecimal digit, or up to four of them before a colon. */
function startsV6(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] === COLON) return from + 2 < to && bytes[from + 1] === COLON && isHex(bytes[from + 2]);
  let at = from;
  while (at < to && at < from + 4 && isHex(bytes[at])) at++;
  return at > from && at < to && bytes[at] === COLON;
}

/** Whether an address within bytes [from, to) is in the range. An address is taken as far as its characters go. */
export function hasIpIn(range: IpRange, bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    const v4 = at + 3 < to && isDigit(bytes[at]) && (bytes[at + 1] === DOT || bytes[at + 2] === DOT || bytes[at + 3] === DOT);
    if (!v4 && !startsV6(bytes, at, to)) continue;
    let end = at + 1;
    while (end < to && (bytes[end] === DOT || (v4 ? isDigit(bytes[end]) : isHex(bytes[end]) || bytes[end] === COLON))) end++;
    const address = end - at > 45 ? undefined : parseIp(bytes.toString('latin1', at, end));
    if (address?.bits === range.bits && address.value >= range.first && address.value <= range.last) return true;
    at = end;
  }
  return false;
}
