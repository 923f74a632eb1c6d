import { FieldDetector, keptEntries, ValueDetector } from '../../logql/engine/detected-fields.ts';
import { isTelling } from '../../logql/engine/detected-labels.ts';
import { mergeLogFrames } from '../../logql/engine/log-frame.ts';
import { compareUtf8 } from '../../logql/model.ts';
import { planQuery } from '../../logql/plan.ts';
import { parseLogQuery, parseSelector } from '../../logql/syntax/parse.ts';
import { parseCanonicalLabels } from '../../storage/batch/labels-text.ts';
import type { AskContext } from '../kernel/define.ts';
import type { BodyReply, FrontendAsk } from '../protocol/query.ts';
import { Slices } from '../slices.ts';
import { type FrontendServices, Jobs } from './jobs.ts';
import { streamsOf, wholeDays } from './metadata.ts';

type Ask<K extends FrontendAsk['kind']> = Extract<FrontendAsk, { kind: K }>;

/** Labels by which streams can be chosen, with the number of their values. */
export async function detectedLabels(ask: Ask<'detected_labels'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  if (ask.query !== '') parseSelector(ask.query);
  const values = new Map<string, Set<string>>();
  for (const text of await streamsOf([ask.query === '' ? '{}' : ask.query], wholeDays(ask), services, asked)) {
    for (const [name, value] of parseCanonicalLabels(text)) {
      const known = values.get(name);
      if (known === undefined) values.set(name, new Set([value]));
      else known.add(value);
    }
  }
  const telling = [...values].filter(([name, found]) => isTelling(name, found)).sort(([a], [b]) => compareUtf8(a, b));
  return json(telling.length === 0 ? {} : { detectedLabels: telling.map(([label, found]) => ({ label, cardinality: found.size })) });
}

/** The fields of the entries that a log query keeps. */
export async function detectedFields(ask: Ask<'detected_fields'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const detector = new FieldDetector(ask.limit);
  await detect(ask, detector, services, asked);
  const fields = detector.fields();
  return json(fields.length === 0 ? {} : { fields, limit: ask.limit });
}

export async function detectedValues(ask: Ask<'detected_values'>, services: FrontendServices, asked: AskContext): Promise<BodyReply> {
  const detector = new ValueDetector(ask.name, ask.limit);
  await detect(ask, detector, services, asked);
  const values = detector.values();
  return json(values.length === 0 ? {} : { values, limit: ask.limit });
}

/** Gives the latest entries that the query keeps to `detector`, in turns: lines are parsed here, and there may be megabytes of them. */
async function detect(
  { query, startNs, endNs, lineLimit }: Ask<'detected_fields' | 'detected_values'>,
  detector: Pick<FieldDetector, 'add'>,
  services: FrontendServices,
  asked: AskContext,
): Promise<void> {
  planQuery(parseLogQuery(query));
  const order = { limit: lineLimit, direction: 'backward' as const };
  const jobs = new Jobs(services, asked);
  const replies = await jobs.run({ kind: 'logs', query, fromNs: startNs, toNs: endNs, ...order, categorize: true }, true);
  const entries = mergeLogFrames(
    replies.map(({ frame }) => frame),
    { ...order, intervalNs: 0 },
  );
  const slices = new Slices(services.world, asked.signal);
  for (const entry of keptEntries(entries)) {
    detector.add(entry);
    await slices.giveWay();
  }
}

function json(body: unknown): BodyReply {
  return { body: [Buffer.from(JSON.stringify(body))] };
}
