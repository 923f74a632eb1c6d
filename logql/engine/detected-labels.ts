import { ConversionError, parseGoFloat } from '../pipeline/go-parse.ts';

/** Labels that say where logs come from: kept however their values look. */
const PLACES = new Set(['cluster', 'namespace', 'instance', 'pod']);

/** Whether a label with these distinct values is worth offering for a choice: one whose values are all numbers or UUIDs tells streams apart, not what they
 *  are. 0 and 1 may be a yes and no. */
export function isTelling(name: string, values: ReadonlySet<string>): boolean {
  if (values.size === 0) return false;
  if (PLACES.has(name)) return true;
  const all = [...values];
  if (all.every((value) => value === '0' || value === '1')) return true;
  return !all.every((value) => isNumber(value) || isUuid(value));
}

function isNumber(text: string): boolean {
  try {
    parseGoFloat(text);
    return true;
  } catch (error) {
    if (error instanceof ConversionError) return false;
    throw error;
  }
}

const HEX = '[0-9a-f]';
const DASHED = `${HEX}{8}-${HEX}{4}-${HEX}{4}-${HEX}{4}-${HEX}{12}`;
/** In the forms that Google's library for Go reads: plain, as a URN, between any two characters, without dashes. */
const UUID = new RegExp(`^(?:(?:urn:uuid:)?${DASHED}|.${DASHED}.|${HEX}{32})$`, 'isu');

function isUuid(text: string): boolean {
  return UUID.test(text);
}
