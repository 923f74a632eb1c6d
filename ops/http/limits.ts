import { limitsOptions, type TenantLimits } from '../../actors/limits.ts';
import { plainValue, type Rows, snakeCase } from '../base/options.ts';
import { writeYaml } from '../config-yaml.ts';
import { type HttpReply, JSON_TYPE, type Route, TEXT_TYPE } from './route.ts';

export interface LimitsDeps {
  readonly limits: (tenant: string) => TenantLimits;
  /** YAML names of the limits that a tenant is shown; none: all. */
  readonly published: readonly string[];
  /** Whether there is an endpoint for patterns. */
  readonly patterns: boolean;
  readonly version: string;
}

/** A tenant's own limits, for people and for Grafana. */
export function limitsRoutes({ limits, published, patterns, version }: LimitsDeps): Route[] {
  const shown = (tenant: string) => shownLimits(limits(tenant), published);
  const route = (path: string, answer: (tenant: string) => HttpReply): Route => ({
    methods: ['GET'],
    path,
    access: 'tenant',
    handle: async ({ tenant }) => answer(tenant),
  });
  return [
    route('/config/tenant/v1/limits', (tenant) => {
      return { status: 200, type: TEXT_TYPE, body: writeYaml(shown(tenant).map(([name, value]) => [[name], value])) };
    }),
    route('/loki/api/v1/drilldown-limits', (tenant) => {
      const body = { limits: Object.fromEntries(shown(tenant)), pattern_ingester_enabled: patterns, version };
      return { status: 200, type: JSON_TYPE, body: JSON.stringify(body) };
    }),
  ];
}

/** By name, in alphabetical order. */
function shownLimits(limits: TenantLimits, published: readonly string[]): (readonly [name: string, value: unknown])[] {
  return Object.entries(limitsOptions.rows as Rows)
    .map(([key, option]) => [snakeCase(key), plainValue(option, limits[key as keyof TenantLimits])] as const)
    .filter(([name]) => published.length === 0 || published.includes(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
