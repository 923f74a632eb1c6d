import { Windows } from '../../logql/engine/windows.ts';
import type { Plan } from '../../logql/plan.ts';
import { checkBytes } from '../job-limits.ts';
import type { AskContext } from '../kernel/define.ts';
import { type FrontendServices, Jobs, type JobsOptions } from './jobs.ts';
import { hasFilter } from './query-limits.ts';

/** Asks how much a query would read, if the tenant has a limit of that, before any of it is read. Throws Fault limit_exceeded. */
export async function checkBytesRead(
  plan: Plan,
  times: { readonly startNs: bigint; readonly endNs: bigint; readonly stepNs: number },
  services: FrontendServices,
  asked: AskContext,
  options: JobsOptions,
): Promise<void> {
  const { maxQueryBytesRead: most } = services.limits(asked.tenant);
  if (most === 0) return;
  const jobs = new Jobs(services, asked, options);
  const sizes = await Promise.all(selectionsOf(plan, times).map((selection) => jobs.run({ kind: 'read_size', ...selection }, true)));
  const bytes = sizes.flat().reduce((sum, reply) => sum + reply.bytes, 0);
  checkBytes(bytes, most);
}

function selectionsOf(plan: Plan, times: { readonly startNs: bigint; readonly endNs: bigint; readonly stepNs: number }) {
  if (plan.kind === 'logs') {
    const { matchers } = plan.expr;
    return hasFilter(plan.expr) ? [{ matchers: [...matchers], fromNs: times.startNs, toNs: times.endNs }] : [];
  }
  return plan.leaves.map(({ range }) => {
    const { fromNs, toNs } = new Windows(times, range.rangeNs, range.offsetNs);
    return { matchers: [...range.log.matchers], fromNs, toNs };
  });
}
