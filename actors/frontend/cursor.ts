import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { FrameEntry } from '../../logql/engine/log-frame.ts';
import type { LogPosition } from '../../logql/engine/log-position.ts';
import type { Direction } from '../../logql/model.ts';
import type { Expr } from '../../logql/syntax/ast.ts';
import { print } from '../../logql/syntax/print.ts';
import { KiB } from '../../ops/base/bytes.ts';
import { Fault } from '../../ops/base/fault.ts';

/** What a cursor belongs to: the order of an answer follows from all of it. */
export interface CursorScope {
  readonly expr: Expr;
  readonly direction: Direction;
  readonly categorize: boolean;
}

/** Labels that a cursor holds; an answer whose labels come to more is not one that anybody pages through. */
const MAX_BYTES = 512 * KiB;
const VERSION = 2;

/** Names the place behind `entry`, in a form that goes into a URL; opaque to clients. */
export function encodeCursor({ timeNs, origin, all, mark }: FrameEntry, scope: CursorScope): string {
  const fields = [VERSION, scopeOf(scope), String(timeNs), origin, all, mark.toString(16)];
  return deflateRawSync(JSON.stringify(fields)).toString('base64url');
}

/** Throws Fault bad_request if the cursor is none, or of another query, direction or form of answer. */
export function decodeCursor(cursor: string, scope: CursorScope): LogPosition {
  const [version, of, timeNs, origin, all, mark] = fieldsOf(cursor);
  const isWhole = version === VERSION && [timeNs, origin, all, mark].every((field) => typeof field === 'string');
  if (!isWhole || !/^-?\d{1,19}$/.test(timeNs as string) || !/^[\da-f]{1,16}$/.test(mark as string)) throw damaged();
  if (of !== scopeOf(scope)) {
    throw new Fault('bad_request', 'the cursor belongs to another query, direction or encoding of the answer');
  }
  return { timeNs: BigInt(timeNs as string), origin: origin as string, all: all as string, mark: BigInt(`0x${mark}`) };
}

function fieldsOf(cursor: string): unknown[] {
  try {
    const fields = JSON.parse(inflateRawSync(Buffer.from(cursor, 'base64url'), { maxOutputLength: MAX_BYTES }).toString());
    if (Array.isArray(fields)) return fields;
  } catch (error) {
    throw damaged(error);
  }
  throw damaged();
}

function damaged(cause?: unknown): Fault {
  return new Fault('bad_request', 'the cursor is not one that an answer of this server gave', { cause });
}

function scopeOf({ expr, direction, categorize }: CursorScope): string {
  return createHash('sha1')
    .update(`${direction} ${categorize} ${print(expr)}`)
    .digest('base64url');
}
