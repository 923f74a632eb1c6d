import { LogfmtScanner } from '../../logql/pipeline/extract-logfmt.ts';

/** The fields of a record's value. */
export interface Fields {
  /** As a text: numbers as they are written, objects and lists as JSON; undefined if it is not there, or null. */
  text(path: string): string | undefined;
}

/** Throws an Error where the value is not what it should be. */
export type ReadFields = (value: Buffer) => Fields;

/** Numbers beyond 2^53 of this name, such as nanoseconds, stay as they are written. */
export function jsonFields(exact: string | undefined): ReadFields {
  const lastName = exact?.slice(exact.lastIndexOf('.') + 1);
  // TypeScript's library does not know the third parameter yet.
  const revive = ((name: string, value: unknown, { source }: { source?: string }) =>
    typeof value === 'number' && name === lastName ? source : value) as (name: string, value: unknown) => unknown;
  return (value) => {
    const root: unknown = JSON.parse(value.toString('utf8'), exact === undefined ? undefined : revive);
    if (typeof root !== 'object' || root === null || Array.isArray(root)) throw new Error('not an object');
    return { text: (path) => textOf(valueAt(root as Record<string, unknown>, path)) };
  };
}

/** A name with points stands for itself before it stands for names within names. */
function valueAt(root: Record<string, unknown>, path: string): unknown {
  if (Object.hasOwn(root, path)) return root[path];
  let value: unknown = root;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function logfmtFields(): ReadFields {
  const scanner = new LogfmtScanner();
  return (value) => {
    const pairs = new Map<string, string>();
    scanner.start(value, 0, value.length);
    while (!scanner.done) {
      if (scanner.next()) pairs.set(value.toString('utf8', scanner.keyFrom, scanner.keyTo), scanner.value());
      else if (scanner.fault !== '') throw new Error(scanner.fault);
    }
    return { text: (path) => pairs.get(path) };
  };
}
