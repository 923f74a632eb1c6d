import { fromFrame, patternsBody, ranked, sumSeries } from '../../logql/patterns/pattern-series.ts';
import { parseSelector } from '../../logql/syntax/parse.ts';
import { Fault } from '../../ops/base/fault.ts';
import { type AskContext, askOptions } from '../kernel/define.ts';
import type { TenantLimits } from '../limits.ts';
import { type BodyReply, type FrontendAsk, patternProtocol } from '../protocol/query.ts';
import { tenantsOf } from '../tenants.ts';
import { selectorOf } from './by-tenant.ts';
import type { FrontendServices } from './jobs.ts';
import { leased, MOST_QUERIERS } from './leased.ts';
import { checkRequiredLabels } from './query-limits.ts';

/** The patterns of lines, those of most lines first. Throws Fault not_found where patterns are turned off. */
export async function minedPatterns(
  ask: Extract<FrontendAsk, { kind: 'patterns' }>,
  services: FrontendServices,
  asked: AskContext,
): Promise<BodyReply> {
  const { messenger, queriers: miners, limits, patternBytes, world } = services;
  if (patternBytes === undefined) throw new Fault('not_found', 'patterns are turned off: see -pattern-ingester.enabled');
  const matchers = parseSelector(ask.query);
  checkRequiredLabels({ kind: 'log', matchers, stages: [], at: { from: 0, to: 0 } }, limits(asked.tenant));
  const { query, startNs, endNs, stepMs } = ask;
  if (startNs >= endNs) return { body: patternsBody([], []) };
  const tenants = tenantsOf(asked.tenant);
  const of = miners.length;
  const maxBytes = patternBytes / of / tenants.length;
  const replies = await Promise.all(
    tenants.flatMap((tenant) => {
      const own = tenants.length === 1 ? query : selectorOf(query, tenant);
      if (own === undefined) return [];
      const pattern = { query: own, startNs, endNs, stepMs, jsonFields: jsonFieldsOf(limits(tenant)) };
      return miners.map((instance, index) => {
        const job = { kind: 'mine' as const, query: pattern, maxBytes, shard: { index, of } };
        const options = { ...askOptions(asked), tenant };
        const wish = { preferred: instance, tries: MOST_QUERIERS, waited: () => {}, world };
        return leased(messenger, wish, options, (miner) => messenger.ask(patternProtocol, miner, job, options));
      });
    }),
  );
  const series = ranked(sumSeries(replies.flatMap((reply) => reply.series.map(fromFrame))));
  const warnings = replies.some(({ sampled }) => sampled)
    ? ['the lines are too many to look at all of them: the counts are estimates from a part']
    : [];
  return { body: patternsBody(series, warnings) };
}

function jsonFieldsOf(limits: TenantLimits): string[] {
  const deleted = new Set(limits.patternIngesterTokenizableJsonFieldsDelete);
  const fields = [...limits.patternIngesterTokenizableJsonFieldsDefault, ...limits.patternIngesterTokenizableJsonFieldsAppend];
  return fields.filter((field) => !deleted.has(field));
}
