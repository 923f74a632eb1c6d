import { parseArgs } from 'node:util';
import { LokiClient } from './client.ts';
import { type Command, rangeHelp, rangeOptions, serverHelp, serverOptions, timeRange, UsageError } from './command.ts';
import { labelsText, write } from './print.ts';
import { outputOption } from './query.ts';

export const labels: Command = {
  summary: 'list label names, or the values of one',
  help: `usage: millrace labels [options] [NAME]

Prints the names of all labels, or the values of label NAME, one a line.

  --match SELECTOR  only of streams that match, such as '{app="web"}'
${rangeHelp}
  -o, --output O    default, raw or jsonl
${serverHelp}`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...serverOptions, ...rangeOptions, match: { type: 'string' }, output: { type: 'string', short: 'o', default: 'default' } },
    });
    if (positionals.length > 1) throw new UsageError('one label name at most');
    const output = outputOption(values.output);
    const found = (await new LokiClient(values, io.env).labels(positionals[0], values.match, timeRange(values))) ?? [];
    await write(io.stdout, found.map((name) => `${output === 'jsonl' ? JSON.stringify(name) : name}\n`).join(''));
    return 0;
  },
};

export const series: Command = {
  summary: 'list the streams that match selectors',
  help: `usage: millrace series [options] SELECTOR...

Prints the labels of every stream that matches one of the selectors, one stream a line.

${rangeHelp}
  -o, --output O    default, raw or jsonl
${serverHelp}

  millrace series '{app=~"web|api"}'`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { ...serverOptions, ...rangeOptions, output: { type: 'string', short: 'o', default: 'default' } },
    });
    if (positionals.length === 0) throw new UsageError('at least one selector is wanted');
    const output = outputOption(values.output);
    const found = (await new LokiClient(values, io.env).series(positionals, timeRange(values))) ?? [];
    await write(io.stdout, found.map((stream) => `${output === 'jsonl' ? JSON.stringify(stream) : labelsText(stream)}\n`).join(''));
    return 0;
  },
};
