import { parseArgs } from 'node:util';
import { LokiClient } from './client.ts';
import { type Command, CommandError, durationMs, queryOptions, rangeHelp, serverHelp, timeRange, UsageError } from './command.ts';
import { rangeQuery } from './pages.ts';
import { metricText, OUTPUTS, type Output, printEntry, write } from './print.ts';

export const query: Command = {
  summary: 'ask for log lines or metrics with LogQL',
  help: `usage: millrace query [options] LOGQL

Prints the lines of a log query, newest first, or the samples of a metric query as a table.

${rangeHelp}
  --limit N         at most so many lines; 0 for all (100)
  --forward         oldest first
  --instant         evaluate a metric query once, at --to
  --step DURATION   distance of a metric query's samples (the server chooses)
  -o, --output O    default, raw (only lines or values) or jsonl
${serverHelp}

  millrace query '{app="web"} |= "timeout"' --since 6h
  millrace query 'sum by (app) (rate({env="prod"}[5m]))' --instant`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...queryOptions,
        output: { type: 'string', short: 'o', default: 'default' },
      },
    });
    if (positionals.length !== 1) throw new UsageError('one query is wanted, as one argument: quote it');
    const output = outputOption(values.output);
    if (!/^\d+$/.test(values.limit)) throw new UsageError(`--limit is not a whole number: ${values.limit}`);
    const limit = Number(values.limit) || Number.POSITIVE_INFINITY;
    const range = timeRange(values);
    const client = new LokiClient(values, io.env);
    const [text] = positionals;

    if (values.instant) {
      const data = await client.queryInstant(text, range.toNs);
      if (data.resultType === 'streams') throw new CommandError('--instant is for metric queries');
      await write(io.stdout, metricText(data, output, io.stdout));
      return 0;
    }
    const step = values.step === undefined ? {} : { stepS: durationMs('--step', values.step) / 1_000 };
    const answer = await rangeQuery(client, { query: text, ...range, limit, forward: values.forward, ...step });
    if (answer.resultType === 'pages') {
      for await (const page of answer.pages) await write(io.stdout, page.map((entry) => printEntry[output](entry, io.stdout)).join(''));
    } else {
      await write(io.stdout, metricText(answer, output, io.stdout));
    }
    return 0;
  },
};

export function outputOption(text: string): Output {
  const output = OUTPUTS.find((name) => name === text);
  if (output === undefined) throw new UsageError(`--output is one of ${OUTPUTS.join(', ')}, not ${text}`);
  return output;
}
