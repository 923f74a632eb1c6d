import { Fault } from '../../ops/base/fault.ts';

const RESERVED = /^__(.*)__$/s;
const OTHER_CHARACTERS = /[^a-zA-Z0-9]+/gu;
const CLEAN = /^(?:[a-zA-Z][a-zA-Z0-9]*(?:_[a-zA-Z0-9]+)*_?|_[a-zA-Z0-9]+(?:_[a-zA-Z0-9]+)*_?)$/;

/** The name of a metadata pair or an attribute as a label name: each run of other characters than letters and digits becomes `_`, a leading digit gets `key_` in
 *  front, and the underscores around `__name__` stay. Throws Fault bad_request if nothing is left. */
export function sanitizeName(name: string): string {
  if (CLEAN.test(name)) return name;
  const reserved = RESERVED.exec(name)?.[1];
  const plain = (reserved ?? name).replace(OTHER_CHARACTERS, '_');
  const clean = reserved === undefined ? (/^\d/.test(plain) ? `key_${plain}` : plain) : `__${plain}__`;
  if (/^_*$/.test(clean))
    throw new Fault('bad_request', `metadata or attribute name ${JSON.stringify(name.slice(0, 100))} holds no letter or digit`);
  return clean;
}
