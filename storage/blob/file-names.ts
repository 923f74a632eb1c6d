import { Fault } from '../../ops/base/fault.ts';

const MOST_BYTES = 255;

/** The file name for a part of a key. Capitals are encoded too, for file systems that take `A` and `a` for the same; so is a leading dot, which is ours.
 *  Throws Fault bad_request for a part whose name would be too long. */
export function fileName(part: string): string {
  let name = '';
  for (const [index, byte] of Buffer.from(part).entries()) {
    const char = String.fromCharCode(byte);
    const plain = /[a-z0-9_=+,@.-]/.test(char) && !(index === 0 && char === '.');
    name += plain ? char : `%${byte.toString(16).padStart(2, '0')}`;
  }
  if (name.length > MOST_BYTES)
    throw new Fault('bad_request', `key part takes ${name.length} bytes as a file name, more than ${MOST_BYTES}: ${part}`);
  return name;
}

/** The part of a key that a file name stands for; undefined for a name that fileName never makes. */
export function partOfFileName(name: string): string | undefined {
  if (!/^(?:[a-z0-9_=+,@.-]|%[0-9a-f]{2})+$/.test(name)) return undefined;
  const bytes = name.replaceAll(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const part = Buffer.from(bytes, 'latin1').toString('utf8');
  return fileName(part) === name ? part : undefined;
}
