import { compareUtf8 } from '../../logql/model.ts';
import { parseSelector } from '../../logql/syntax/parse.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { TENANT_LABEL, tenantsOf } from '../tenants.ts';
import { type FrontendServices, Jobs } from './jobs.ts';

type Ask<K extends FrontendAsk['kind']> = Extract<FrontendAsk, { kind: K }>;

export async function labelNames(ask: Ask<'labels'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const names = new Set<string>();
  for (const text of await streamsOf(selectorsOf(ask.query), wholeDays(ask), services, asked)) {
    for (const [name] of parseCanonicalLabels(text)) names.add(name);
  }
  if (tenantsOf(asked.tenant).length > 1) names.add(TENANT_LABEL);
  return list([...names].sort(compareUtf8));
}

export async function labelValues(ask: Ask<'label_values'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const tenants = tenantsOf(asked.tenant);
  if (tenants.length > 1 && ask.name === TENANT_LABEL && ask.query === '') return list(tenants);
  const values = new Set<string>();
  for (const text of await streamsOf(selectorsOf(ask.query), wholeDays(ask), services, asked)) {
    for (const [name, value] of parseCanonicalLabels(text)) if (name === ask.name) values.add(value);
  }
  return list([...values].sort(compareUtf8));
}

export async function seriesSets(ask: Ask<'series'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  for (const match of ask.matches) parseSelector(match, { allowAll: true });
  const streams = await streamsOf(ask.matches.length === 0 ? ['{}'] : ask.matches, ask, services, asked);
  return list(streams.map((text) => Object.fromEntries(parseCanonicalLabels(text))));
}

function selectorsOf(query: string): string[] {
  if (query === '') return ['{}'];
  parseSelector(query);
  return [query];
}

const DAY_NS = 86_400_000_000_000n;

/** The days that a range touches. Loki's index is kept by day, so its label names and values are those of whole days: a dashboard that asks for the labels of
 *  its last minutes is shown the streams that were silent in them too. */
export function wholeDays({ startNs, endNs }: { startNs: bigint; endNs: bigint }): { startNs: bigint; endNs: bigint } {
  if (endNs < startNs) return { startNs, endNs };
  return { startNs: (startNs / DAY_NS) * DAY_NS, endNs: (endNs / DAY_NS + 1n) * DAY_NS };
}

/** Canonical texts of the streams with entries in [startNs, endNs) that any selector takes, sorted. */
export async function streamsOf(
  selectors: string[],
  { startNs, endNs }: { startNs: bigint; endNs: bigint },
  services: FrontendServices,
  asked: AskContext,
): Promise<string[]> {
  const replies = await new Jobs(services, asked).run({ kind: 'series', selectors, fromNs: startNs, toNs: endNs }, true);
  return [...new Set(replies.flatMap(({ labels }) => labels))].sort(compareUtf8);
}

function list(data: readonly unknown[]): BodyReply {
  return { body: [Buffer.from(JSON.stringify({ status: 'success', data }))] };
}
