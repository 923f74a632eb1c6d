import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MiB } from '../base/bytes.ts';
import { Batcher, type PushBatch } from './batches.ts';
import { LokiClient } from './client.ts';
import { type Command, CommandError, durationMs, serverHelp, serverOptions, UsageError } from './command.ts';
import { deliver } from './deliver.ts';
import { linesOf } from './lines.ts';
import { Progress, sizeText } from './progress.ts';
import { detectFormat, findTime, LineClock, type LineFormat } from './times.ts';

const BATCH_BYTES = MiB;
/** A live source's lines wait no longer than this for company. */
const LINGER_MS = 1_000;
const IN_FLIGHT = 3;
const FORMATS = ['auto', 'json', 'logfmt', 'plain'] as const;

export const push: Command = {
  summary: 'send log files or standard input to a server',
  help: `usage: millrace push [options] FILE... --label NAME=VALUE...

Sends each line of the files (- is standard input) as a log entry of the stream that the labels name. Lines keep their order. While
the server is busy or away it waits and goes on; entries that the server refuses are reported, and the exit code is then 1.

  --label N=V       a label of the stream; at least one, may be repeated
  --timestamp       take the times from the lines: RFC 3339 and the like, common log format, syslog, epoch in s, ms or ns, and in
                    JSON and logfmt the keys ts, time, timestamp, @timestamp. Times without a zone are local. A line without a time
                    belongs to the line before. Without this option lines get the time at which they are read.
  --format F        auto, json, logfmt or plain: where to look for the time (auto, line by line)
  --give-up DURATION  how long to try one request (5m)
${serverHelp}

  millrace push /var/log/dpkg.log --label app=dpkg --timestamp
  journalctl -f -o short-iso | millrace push - --label host=$(hostname)`,

  async run(args, io) {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        ...serverOptions,
        label: { type: 'string', multiple: true, default: [] },
        timestamp: { type: 'boolean', default: false },
        format: { type: 'string', default: 'auto' },
        'give-up': { type: 'string', default: '5m' },
      },
    });
    if (positionals.length === 0) throw new UsageError('no file given; - is standard input');
    const labels = labelsOption(values.label);
    const format = FORMATS.find((name) => name === values.format);
    if (format === undefined) throw new UsageError(`--format is one of ${FORMATS.join(', ')}, not ${values.format}`);
    const giveUpAfterMs = durationMs('--give-up', values['give-up']);
    const client = new LokiClient(values, io.env);

    const progress = new Progress(io.stderr, await totalBytes(positionals));
    const sender = new Sender(client, progress, giveUpAfterMs);
    try {
      for (const file of positionals) {
        const clock = new LineClock(values.timestamp ? finder(format) : undefined);
        await pushSource(
          file === '-' ? io.stdin : createReadStream(file, { highWaterMark: MiB / 4 }),
          new Batcher(labels, BATCH_BYTES),
          clock,
          sender,
          progress,
        );
      }
      await sender.settled();
    } finally {
      progress.end();
      io.stderr.write(sender.report());
    }
    return sender.refused === 0 ? 0 : 1;
  },
};

/** `name=value` texts as labels. */
export function labelsOption(texts: readonly string[]): Record<string, string> {
  if (texts.length === 0) throw new UsageError('at least one --label is wanted, such as --label app=web');
  const pairs = texts.map((text) => {
    const at = text.indexOf('=');
    const name = text.slice(0, Math.max(0, at));
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw new UsageError(`--label wants NAME=VALUE, not ${text}`);
    return [name, text.slice(at + 1)] as const;
  });
  return Object.fromEntries(pairs);
}

/** Sum of the file sizes; undefined when standard input is among them. Throws CommandError for what cannot be read. */
async function totalBytes(files: readonly string[]): Promise<number | undefined> {
  const sizes = await Promise.all(
    files.map(async (file) => {
      if (file === '-') return undefined;
      const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
        throw new CommandError(error.code === 'ENOENT' ? `no such file: ${file}` : `cannot read ${file}: ${error.message}`);
      });
      if (found.isDirectory()) throw new CommandError(`a directory, not a file: ${file}`);
      return found.size;
    }),
  );
  return sizes.reduce((sum, size) => (sum === undefined || size === undefined ? undefined : sum + size), 0);
}

function finder(format: (typeof FORMATS)[number]): (line: string, nowMs: number) => bigint | undefined {
  const formatOf: (line: string) => LineFormat = format === 'auto' ? detectFormat : () => format;
  return (line, nowMs) => findTime(line, formatOf(line), nowMs);
}

async function pushSource(
  source: AsyncIterable<Buffer>,
  batcher: Batcher,
  clock: LineClock,
  sender: Sender,
  progress: Progress,
): Promise<void> {
  let linger: NodeJS.Timeout | undefined;
  try {
    for await (const { lines, bytes } of linesOf(source)) {
      progress.read(bytes);
      for (const line of lines) {
        const batch = batcher.add(clock.timeOf(line), line);
        if (batch !== undefined) await sender.send(batch);
      }
      clearTimeout(linger);
      // A failure is kept by the sender and thrown at the next call.
      if (!batcher.isEmpty) linger = setTimeout(() => sender.send(batcher.take()).catch(() => undefined), LINGER_MS);
    }
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw new CommandError(`cannot read: ${error.message}`, { cause: error });
    throw error;
  } finally {
    clearTimeout(linger);
  }
  if (!batcher.isEmpty) await sender.send(batcher.take());
}

/** Sends batches, a few at a time, and keeps the account. */
class Sender {
  readonly #client: LokiClient;
  readonly #progress: Progress;
  readonly #giveUpAfterMs: number;
  readonly #inFlight = new Set<Promise<void>>();
  #failure: Error | undefined;
  #entries = 0;
  #sizeBytes = 0;
  #retries = 0;
  readonly #refusals = new Map<string, { entries: number; exact: boolean }>();
  readonly #startedMs = performance.now();

  constructor(client: LokiClient, progress: Progress, giveUpAfterMs: number) {
    this.#client = client;
    this.#progress = progress;
    this.#giveUpAfterMs = giveUpAfterMs;
  }

  /** Entries that the server will not take. */
  get refused(): number {
    return [...this.#refusals.values()].reduce((sum, { entries }) => sum + entries, 0);
  }

  /** Resolves when there is room for another batch. Throws CommandError once one could not be delivered. */
  async send(batch: PushBatch): Promise<void> {
    const sending = this.#deliver(batch)
      .catch((error: unknown) => {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
    if (this.#inFlight.size >= IN_FLIGHT) await Promise.race(this.#inFlight);
    this.#throwFailure();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw new CommandError(`${this.#client.address}: ${this.#failure.message}`, { cause: this.#failure });
  }

  async #deliver(batch: PushBatch): Promise<void> {
    const body = await batch.body();
    const { reply, attempts } = await deliver(() => this.#client.push(Uint8Array.from(body), { 'content-encoding': 'gzip' }), {
      giveUpAfterMs: this.#giveUpAfterMs,
      now: () => performance.timeOrigin + performance.now(), // of the day, as a Retry-After can be, and no clock that is set
      random: Math.random,
      sleep: (ms) => sleep(ms),
      waiting: (ms, why) => this.#progress.waiting(ms, why),
    });
    this.#retries += attempts - 1;
    const refusal = reply.status < 300 ? { entries: 0, exact: true } : refusedEntries(reply.text, batch.entries);
    if (reply.status >= 300) {
      const why = `${reply.status} ${reply.text.trim()}`;
      const before = this.#refusals.get(why) ?? { entries: 0, exact: true };
      this.#refusals.set(why, { entries: before.entries + refusal.entries, exact: before.exact && refusal.exact });
    }
    this.#entries += batch.entries - refusal.entries;
    this.#sizeBytes += batch.sizeBytes;
    this.#progress.sent(batch.entries - refusal.entries);
  }

  report(): string {
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    const retries = this.#retries === 0 ? '' : `, ${this.#retries} retries`;
    const totals = `pushed ${this.#entries} entries, ${sizeText(this.#sizeBytes)} in ${seconds.toFixed(1)} s${retries}\n`;
    const refusals = [...this.#refusals].map(([why, { entries, exact }]) => `refused ${exact ? '' : 'up to '}${entries} entries: ${why}\n`);
    return totals + refusals.join('');
  }
}

/** How many of a request's entries an answer refuses. Loki counts them for some reasons; for others it only says that there were any. */
export function refusedEntries(text: string, entries: number): { entries: number; exact: boolean } {
  const counts = [...text.matchAll(/total ignored: (\d+) out of \d+/g)].map((match) => Number(match[1]));
  if (counts.length === 0) return { entries, exact: entries === 1 };
  return {
    entries: Math.min(
      entries,
      counts.reduce((sum, count) => sum + count, 0),
    ),
    exact: true,
  };
}
