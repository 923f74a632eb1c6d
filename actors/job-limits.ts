import { printBinaryBytes } from '../ops/base/bytes.ts';
import { Fault } from '../ops/base/fault.ts';
import type { JobLimits } from './protocol/query.ts';

/** Throws Fault limit_exceeded, in Loki's words where it has some, if more is selected than may be. `split`: whether this is one of several shares of the streams. */
export function checkSelected(selected: JobLimits, most: JobLimits, split: boolean): void {
  const exceeds = (key: keyof JobLimits): boolean => most[key] > 0 && selected[key] > most[key];
  if (exceeds('streams')) {
    throw tooMuch(`cardinality limit exceeded: the query selects ${selected.streams} streams, more than limit of ${most.streams}`);
  }
  if (exceeds('chunks')) throw tooMuch(`the query would read too many chunks (query: ${selected.chunks}, limit: ${most.chunks})`);
  if (exceeds('bytes')) {
    const what = split ? 'shard query is' : 'un-shardable query';
    throw tooMuch(`${what} too large to execute on a single querier: (${sizes(selected.bytes, most.bytes)})`);
  }
}

/** Refuses a query for the bytes that it would read. */
export function checkBytes(bytes: number, most: number): void {
  if (bytes > most) throw tooMuch(`the query would read too many bytes (${sizes(bytes, most)})`);
}

function sizes(bytes: number, most: number): string {
  return `query: ${printBinaryBytes(bytes)}, limit: ${printBinaryBytes(most)}`;
}

function tooMuch(what: string): Fault {
  return new Fault('limit_exceeded', `${what}; consider adding more specific stream selectors or reduce the time range of the query`);
}
