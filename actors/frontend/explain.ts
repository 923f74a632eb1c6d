import { planQuery } from '../../logql/plan.ts';
import { parseExpr } from '../../logql/syntax/parse.ts';
import { print } from '../../logql/syntax/print.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { type FrontendServices, type JobProfile, Jobs } from './jobs.ts';
import { instantQuery, rangeQuery } from './queries.ts';

/** How a query went. Times are in milliseconds; those under `waited` and `worked` are sums over queriers, which work at the same time. */
export interface Explanation {
  /** As it was understood. */
  readonly query: string;
  readonly kind: 'logs' | 'metric';
  /** What queriers were asked for; the rest of a metric query is evaluated over their results. */
  readonly parts: readonly (JobProfile & { readonly mergeable: boolean })[];
  /** Whose indexes were looked into, once for each job. */
  readonly objects: number;
  readonly chunks: number;
  readonly blocks: {
    /** Of the chunks, all of which are selected by time, tenant and labels. */
    readonly all: number;
    readonly skippedByTime: number;
    /** Told by skip filters to hold nothing that the query needs. */
    readonly skippedByFilter: number;
    /** Not looked at because the limit was reached before. */
    readonly skippedByLimit: number;
    /** Whose header told enough. */
    readonly answeredByHeader: number;
    readonly scanned: number;
  };
  readonly rows: { readonly scanned: number; readonly fromHeads: number; readonly matched: number; readonly duplicates: number };
  /** `fetched` are those of blocks. */
  readonly bytes: { readonly fetched: number; readonly filters: number; readonly decompressed: number; readonly lines: number };
  readonly waited: { readonly ingestersMs: number; readonly indexMs: number; readonly fetchMs: number };
  readonly worked: { readonly decompressMs: number; readonly scanMs: number };
  readonly totalMs: number;
}

/** Runs a query, throws its answer away, and tells how it went. */
export async function explainQuery(
  { query }: Extract<FrontendAsk, { kind: 'explain' }>,
  services: FrontendServices,
  asked: AskContext,
): Promise<BodyReply> {
  const jobs = new Jobs(services, asked, { explain: true, partial: query.partial === true, afterWrite: query.afterWrite === true });
  await (query.kind === 'range' ? rangeQuery(query, services, asked, jobs) : instantQuery(query, services, asked, jobs));
  return { body: [Buffer.from(JSON.stringify({ status: 'success', data: explanation(query.query, jobs) }))] };
}

function explanation(query: string, jobs: Jobs): Explanation {
  const expr = parseExpr(query);
  const plan = planQuery(expr);
  const mergeable = (text: string): boolean => plan.kind === 'logs' || plan.leaves.some((leaf) => leaf.query === text && leaf.mergeable);
  const { scan } = jobs;
  return {
    query: print(expr),
    kind: plan.kind,
    parts: (jobs.profiles ?? []).map((profile) => ({ ...profile, mergeable: mergeable(profile.query) })),
    objects: scan.objects,
    chunks: scan.chunks,
    blocks: {
      all: scan.blocks + scan.blocksOutside + scan.blocksFiltered + scan.blocksSkipped,
      skippedByTime: scan.blocksOutside,
      skippedByFilter: scan.blocksFiltered,
      skippedByLimit: scan.blocksSkipped,
      answeredByHeader: scan.blocksByHeader,
      scanned: scan.blocks - scan.blocksByHeader,
    },
    rows: { scanned: scan.lines, fromHeads: scan.headRows, matched: scan.matchedLines, duplicates: scan.duplicates },
    bytes: { fetched: scan.fetchedBytes, filters: scan.filterBytes, decompressed: scan.decompressedBytes, lines: scan.lineBytes },
    waited: { ingestersMs: scan.ingestersMs, indexMs: scan.indexMs, fetchMs: scan.fetchMs },
    worked: { decompressMs: scan.decompressMs, scanMs: scan.scanMs },
    totalMs: jobs.stats().execMs,
  };
}
