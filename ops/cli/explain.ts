import { parseArgs } from 'node:util';
import type { Explanation } from '../../actors/frontend/explain.ts';
import { LokiClient } from './client.ts';
import { type Command, durationMs, type Io, queryOptions, rangeHelp, serverHelp, timeRange, UsageError } from './command.ts';
import { table, write } from './print.ts';
import { sizeText } from './progress.ts';

export const explain: Command = {
  summary: 'run a query and show what it cost',
  help: `usage: millrace explain [options] LOGQL

Runs a query on a Millrace server, leaves out its answer, and shows how it was split, what was read and skipped, and how long each stage took.

${rangeHelp}
  --limit N         of a log query (100)
  --forward         oldest first
  --instant         evaluate a metric query once, at --to
  --step DURATION   distance of a metric query's samples (the server chooses)
  --json            as JSON
${serverHelp}

  millrace explain '{app="web"} |= "timeout" | json | status >= 500' --since 6h`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...queryOptions,
        json: { type: 'boolean', default: false },
      },
    });
    if (positionals.length !== 1) throw new UsageError('one query is wanted, as one argument: quote it');
    const range = timeRange(values);
    const explained = await new LokiClient(values, io.env).explain(positionals[0], {
      ...(values.instant ? { time: String(range.toNs) } : { start: String(range.fromNs), end: String(range.toNs) }),
      limit: values.limit,
      direction: values.forward ? 'forward' : 'backward',
      ...(values.step === undefined ? {} : { step: String(durationMs('--step', values.step) / 1_000) }),
    });
    await write(io.stdout, values.json ? `${JSON.stringify(explained)}\n` : explanationText(explained, io.stdout));
    return 0;
  },
};

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

function explanationText(explained: Explanation, stdout: Io['stdout']): string {
  const { blocks, rows, bytes, waited, worked } = explained;
  const parts = explained.parts.map(({ query, jobs, mergeable, stages }) => {
    const measured = stages.map(({ stage, over, rowsIn, rowsOut, ms: took }) => [stage, over, String(rowsIn), String(rowsOut), ms(took)]);
    const how = mergeable ? 'each over its share of the streams' : 'over all streams';
    return `  ${query}\n    ${jobs} jobs, ${how}\n${measured.length === 0 ? '' : indented(table(['stage', 'over', 'rows in', 'out', 'time'], measured, stdout))}`;
  });
  return [
    `${explained.query}\n`,
    ...parts,
    `objects  ${explained.objects} looked into by all jobs, ${explained.chunks} chunks selected`,
    `blocks   ${blocks.all}: ${blocks.scanned} scanned, ${blocks.answeredByHeader} answered by their header, ` +
      `${blocks.skippedByTime} outside the time range, ${blocks.skippedByFilter} by skip filters, ${blocks.skippedByLimit} behind the limit`,
    `rows     ${rows.scanned} looked at, ${rows.matched} matched; ${rows.fromHeads} in memory, ${rows.duplicates} duplicates`,
    `bytes    ${sizeText(bytes.fetched)} fetched, ${sizeText(bytes.filters)} of skip filters, ${sizeText(bytes.decompressed)} decompressed, ${sizeText(bytes.lines)} of lines`,
    `waited   ${ms(waited.ingestersMs)} for ingesters, ${ms(waited.indexMs)} for indexes, ${ms(waited.fetchMs)} for blocks`,
    `worked   ${ms(worked.scanMs)} on rows, ${ms(worked.decompressMs)} of it decompressing`,
    `total    ${ms(explained.totalMs)}\n`,
  ].join('\n');
}

function indented(text: string): string {
  return text.replace(/^/gm, '    ').trimEnd();
}
