import { parseLogQuery } from '../../logql/syntax/parse.ts';
import { print } from '../../logql/syntax/print.ts';

/** `query`, and behind it a line filter for `regexp`, which is how lines were searched before there were filters. Throws QueryError if there is a `regexp` and
 *  the query is no log query. */
export function legacyQuery(params: URLSearchParams): string {
  const query = params.get('query') ?? '';
  const regexp = params.get('regexp') ?? '';
  if (regexp === '') return query;
  const expr = parseLogQuery(query);
  const { at } = expr;
  return print({ ...expr, stages: [...expr.stages, { kind: 'line_filter', op: '|~', terms: [{ kind: 'text', text: regexp }], at }] });
}
