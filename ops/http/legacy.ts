import { parseExpr } from '../../logql/syntax/parse.ts';
import { Fault } from '../base/fault.ts';
import { legacyQuery } from './legacy-query.ts';
import { labels, labelValues, type QueryDeps, type ReadAsk, range, readRoutes, series } from './query.ts';
import type { Route } from './route.ts';

/** The paths of Loki before version 1, for clients that still ask there; push and tail are served with their successors. */
export function legacyRoutes(deps: QueryDeps): Route[] {
  return readRoutes(READ, deps);
}

const READ: Readonly<Record<string, ReadAsk>> = {
  '/api/prom/query': (...asked) => {
    const [params] = asked;
    const ask = range(...asked);
    const query = legacyQuery(params);
    if (parseExpr(query).kind !== 'log') throw new Fault('bad_request', 'legacy endpoints only support streams result type');
    return { ...ask, query, legacy: true };
  },
  '/api/prom/label': labels,
  '/api/prom/label/:name/values': labelValues,
  '/api/prom/series': series,
};
