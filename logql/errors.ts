import { Fault } from '../ops/base/fault.ts';
import type { Span } from './syntax/ast.ts';

/** What is wrong with a query's text, and where: a parse_error with Loki's wording. */
export class QueryError extends Fault {
  readonly at: Span;
  constructor(message: string, at: Span, options?: ErrorOptions) {
    super('parse_error', message, options);
    this.at = at;
  }
}

/** `parse error at line 1, col 8: …`, counting lines and columns from 1, columns in characters. */
export function positionedError(text: string, at: Span, message: string): QueryError {
  const before = text.slice(0, at.from);
  const line = before.split('\n').length;
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1;
  return new QueryError(`parse error at line ${line}, col ${column}: ${message}`, at);
}

/** `parse error : …`: the text can be read but means nothing. */
export function meaningError(at: Span, message: string, options?: ErrorOptions): QueryError {
  return new QueryError(`parse error : ${message}`, at, options);
}
