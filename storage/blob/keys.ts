import { Fault } from '../../ops/base/fault.ts';

/** Any non-empty text as one part of a key: percent-encoded but for A-Z a-z 0-9 - _ . ! ~ * ' ( ), and so safe in object stores. */
export function keyPart(text: string): string {
  if (text === '' || !text.isWellFormed()) throw new Fault('bad_request', `no part of a key can be made of ${JSON.stringify(text)}`);
  return /^\.{1,2}$/.test(text) ? text.replaceAll('.', '%2E') : encodeURIComponent(text);
}

/** Throws Fault bad_request unless `key` is one: parts between single slashes, none of them '.' or '..'. */
export function checkKey(key: string): void {
  if (!key.isWellFormed() || key.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw new Fault('bad_request', `not an object key: ${JSON.stringify(key)}`);
  }
}

/** Orders keys by their UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
