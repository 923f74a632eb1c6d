import { Fault } from '../../ops/base/fault.ts';

const MOST_BYTES = 255;
/** Begins the names of parts that would be too long otherwise: no percent-encoded name has it. */
const SHORT = '%-';
/** RFC 4648's, in small letters. */
const BASE_32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** The file name for a part of a key. Capitals are encoded too, for file systems that take `A` and `a` for the same; so is a leading dot, which is ours. Where that
 *  makes a name too long, it is the part's bytes in base 32: enough for any tenant id. Throws Fault bad_request for a part that is too long even so. */
export function fileName(part: string): string {
  const name = shortest(part);
  if (name.length > MOST_BYTES)
    throw new Fault('bad_request', `key part takes ${name.length} bytes as a file name, more than ${MOST_BYTES}: ${part}`);
  return name;
}

/** The part of a key that a file name stands for; undefined for a name that fileName never makes. */
export function partOfFileName(name: string): string | undefined {
  const bytes = name.startsWith(SHORT) ? fromBase32(name.slice(SHORT.length)) : percentDecoded(name);
  const part = bytes?.toString('utf8') ?? '';
  return part !== '' && shortest(part) === name ? part : undefined;
}

function shortest(part: string): string {
  const name = percentEncoded(part);
  return name.length <= MOST_BYTES ? name : SHORT + toBase32(Buffer.from(part));
}

function percentEncoded(part: string): string {
  let name = '';
  for (const [index, byte] of Buffer.from(part).entries()) {
    const char = String.fromCharCode(byte);
    const plain = /[a-z0-9_=+,@.-]/.test(char) && !(index === 0 && char === '.');
    name += plain ? char : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return name;
}

function percentDecoded(name: string): Buffer | undefined {
  if (!/^(?:[a-z0-9_=+,@.-]|%[0-9a-f]{2})+$/.test(name)) return undefined;
  const bytes = name.replaceAll(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1');
}

function toBase32(bytes: Uint8Array): string {
  let [text, bits, value] = ['', 0, 0];
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE_32[(value >>> (bits - 5)) & 31];
  }
  return bits === 0 ? text : text + BASE_32[(value << (5 - bits)) & 31];
}

function fromBase32(text: string): Buffer | undefined {
  if (!/^[a-z2-7]+$/.test(text)) return undefined;
  const bytes: number[] = [];
  let [bits, value] = [0, 0];
  for (const char of text) {
    value = ((value << 5) | BASE_32.indexOf(char)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((value >>> bits) & 255);
    }
  }
  return Buffer.from(bytes);
}
