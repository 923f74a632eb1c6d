import type { Matcher } from '../../logql/model.ts';
import { compileMatcher } from '../../logql/pipeline/regex.ts';
import type { Expr, Grouping, LabelAssignment, LogExpr, RangeAggregation, Stage } from '../../logql/syntax/ast.ts';
import { parseExpr, parseSelector } from '../../logql/syntax/parse.ts';
import { print, printSelector } from '../../logql/syntax/print.ts';
import type { JobAsk } from '../protocol/query.ts';
import { PUSHED_TENANT_LABEL, TENANT_LABEL, tenantsOf } from '../tenants.ts';

/** The question as each tenant of `tenant` is to be asked it. Of several tenants those that its matchers on `__tenant_id__` leave out are not asked, and the
 *  streams of the others have that label: selectors, which know nothing of it, are put in terms of what was pushed, and stages keep it. */
export function askByTenant<A extends JobAsk>(tenant: string, ask: A): { readonly tenant: string; readonly ask: A }[] {
  const tenants = tenantsOf(tenant);
  if (tenants.length === 1) return [{ tenant, ask }];
  return tenants.flatMap((one) => {
    const own = askOf(ask, one);
    return own === undefined ? [] : [{ tenant: one, ask: own as A }];
  });
}

function askOf(ask: JobAsk, tenant: string): JobAsk | undefined {
  switch (ask.kind) {
    case 'logs':
    case 'samples': {
      const expr = queryOf(parseExpr(ask.query), tenant);
      return expr && { ...ask, query: print(expr), tenantLabel: tenant };
    }
    case 'series': {
      const selectors = ask.selectors.map((selector) => selectorOf(selector, tenant)).filter((selector) => selector !== undefined);
      return selectors.length === 0 ? undefined : { ...ask, selectors, tenantLabel: tenant };
    }
    case 'volumes': {
      const query = selectorOf(ask.query, tenant);
      return query === undefined ? undefined : { ...ask, query };
    }
    case 'stream_sizes':
    case 'read_size': {
      const matchers = matchersOf(ask.matchers, tenant);
      return matchers && { ...ask, matchers };
    }
  }
}

/** A selector as it is put to one of several tenants; undefined if the tenant is not meant. */
export function selectorOf(selector: string, tenant: string): string | undefined {
  const matchers = matchersOf(parseSelector(selector, { allowAll: true }), tenant);
  return matchers && printSelector(matchers);
}

function matchersOf(matchers: readonly Matcher[], tenant: string): Matcher[] | undefined {
  const ofTenants = matchers.filter(({ name }) => name === TENANT_LABEL);
  if (!ofTenants.every((matcher) => compileMatcher(matcher)(tenant))) return undefined;
  const others = matchers.filter(({ name }) => name !== TENANT_LABEL);
  return others.map((matcher) => (matcher.name === PUSHED_TENANT_LABEL ? { ...matcher, name: TENANT_LABEL } : matcher));
}

/** A log query, or a leaf of a metric query. */
function queryOf(expr: Expr, tenant: string): Expr | undefined {
  if (expr.kind === 'log') return logOf(expr, tenant);
  if (expr.kind === 'range_aggregation') return rangeOf(expr, tenant);
  if (expr.kind !== 'vector_aggregation' || expr.inner.kind !== 'range_aggregation') throw new TypeError(`not a leaf: ${print(expr)}`);
  const inner = rangeOf(expr.inner, tenant);
  return inner && { ...expr, inner };
}

function rangeOf(range: RangeAggregation, tenant: string): RangeAggregation | undefined {
  const log = logOf(range.log, tenant);
  return log && { ...range, log, ...(range.grouping && { grouping: keepTenant(range.grouping) }) };
}

function keepTenant({ without, labels }: Grouping): Grouping {
  const others = labels.filter((name) => name !== TENANT_LABEL);
  return { without, labels: without ? others : [...others, TENANT_LABEL] };
}

function logOf(log: LogExpr, tenant: string): LogExpr | undefined {
  const matchers = matchersOf(log.matchers, tenant);
  return matchers && { ...log, matchers, stages: log.stages.flatMap(stageOf) };
}

/** No stage takes the label away, or changes it. */
function stageOf(stage: Stage): Stage[] {
  if (stage.kind === 'keep') return [{ ...stage, items: [...stage.items, { name: TENANT_LABEL }] }];
  if (stage.kind === 'drop') {
    const items = stage.items.filter(({ name }) => name !== TENANT_LABEL);
    return items.length === 0 ? [] : [{ ...stage, items }];
  }
  if (stage.kind === 'label_format') {
    const assignments = stage.assignments.filter(({ label }) => label !== TENANT_LABEL).map(copied);
    return assignments.length === 0 ? [] : [{ ...stage, assignments }];
  }
  return [stage];
}

function copied(assignment: LabelAssignment): LabelAssignment {
  if (assignment.kind === 'template' || assignment.from !== TENANT_LABEL) return assignment;
  return { kind: 'template', label: assignment.label, template: `{{.${TENANT_LABEL}}}` };
}
