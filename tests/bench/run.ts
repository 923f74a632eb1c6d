import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { TestServer } from '../support/server.ts';
import { readBodies } from './bodies.ts';
import { type Corpus, cacheFolder, corpusIn } from './corpus.ts';
import { LIFTED } from './lifted.ts';
import { COMPACTING, compacted, DELETION_DELAY_MS, pushOne } from './load.ts';
import { mb, round } from './measure.ts';
import { questions } from './questions.ts';
import { type SystemKind, systemKinds } from './systems.ts';

/** What is measured instead, by the option that asks for it; what each promises is told at the top of its file. */
const MODES: Readonly<Record<string, { options: string; what: string; run: () => Promise<unknown> }>> = {
  regex: { options: '[--kib 2048] [--path NAME]', what: 'evil patterns', run: () => import('./regex.ts') },
  hostile: { options: '[--mib 128] [--runs 5]', what: 'small queries beside hostile ones', run: () => import('./hostile.ts') },
  beside: { options: '[--mib 256] [--runs 5]', what: 'small queries beside heavy ones', run: () => import('./beside.ts') },
  streams: {
    options: '[100000] [--minutes 10] [--entries-per-minute 5] [--few 30]',
    what: 'many active streams',
    run: () => import('./streams.ts'),
  },
  'needle-store': {
    options: '[--gb 20] [--reps 10] [--copy-mib 256]',
    what: 'one line of a large store',
    run: () => import('./needle-store.ts'),
  },
  compaction: {
    options: '[--mib 256] [--runs 5] [--mb-per-s 5] [--push-kb 100] [--seconds 60]',
    what: 'pushes while storage is compacted',
    run: () => import('./compaction.ts'),
  },
  buffer: {
    options: '[--mb-per-s 5] [--push-kb 100] [--seconds 30] [--backlog-mib 2048] [--brokers 1] [--only push|replay|moves]',
    what: 'Kafka in front of ingesters',
    run: () => import('./buffer.ts'),
  },
  cluster: {
    options: '[--mb-per-s 5] [--push-kb 100] [--seconds 30] [--handoff-mib 200] [--only push|hop|kill|handoff|idle]',
    what: 'what several processes cost, and how they fail',
    run: () => import('./cluster.ts'),
  },
  source: {
    options: '[--mib 256] [--partitions 4]',
    what: 'a backlog in a topic of Kafka',
    run: () => import('./source.ts'),
  },
  stored: { options: '[--mib 256] [--logs FOLDER]', what: 'what is stored, beside zstd -3', run: () => import('./stored.ts') },
  micro: { options: '[--mib 32] [--rounds 7]', what: 'single stages beside what the machine can do', run: () => import('./micro.ts') },
};

const USAGE = `usage: npm run bench -- [options] [NAME=KIND|URL|PID[|DATA_DIR]...]

Pushes a corpus into a server of our own, and into the peers named, one after the other, and asks each the same questions.
KIND is loki or vlogs. CPU time and memory are those of PID, disk use that of DATA_DIR.

  --mib N        size of the corpus (256); it is kept in .cache for a day
  --reps N       times each question is asked (3)
  --only ID      one question
  --conc N       pushes in flight (4)
  --of-streams N streams of the corpus (30)
  --settle MS    wait between flush and questions (5000)
  --json FILE    write everything there
  --no-ours      only the peers
  --no-push      the peers hold the corpus already

Instead of that, with options of their own; each is explained at the top of its file:

${Object.entries(MODES)
  .map(([name, mode]) => `  --${name} ${mode.options}\n      ${mode.what}`)
  .join('\n')}`;

interface System {
  name: string;
  kind: SystemKind;
  url: string;
  pid: number;
  dataDir: string | undefined;
  /** Ours: questions are asked when there is nothing left to compact, and what was compacted is deleted. */
  compacts: boolean;
}

interface Outcome {
  ingest?: {
    mbPerS: number;
    cpuS: number;
    cpuFlushedS: number;
    cpuSettledS: number;
    refused: number;
    peakMb: number;
    diskMb: number | undefined;
  };
  queries: Record<string, { firstMs: number; bestMs: number; bestCpuMs: number; answer: string }>;
  peakMb: number;
}

/** Between the runs of our compactor: the whole of a small corpus is pushed before the first. */
const SWEEP_MS = 10_000;

const mode = Object.keys(MODES).find((name) => process.argv.includes(`--${name}`));
const { values: options, positionals } = parseArgs({
  args: mode === undefined ? process.argv.slice(2) : [],
  allowPositionals: true,
  options: {
    mib: { type: 'string', default: '256' },
    reps: { type: 'string', default: '3' },
    only: { type: 'string' },
    conc: { type: 'string', default: '4' },
    'of-streams': { type: 'string', default: '30' },
    settle: { type: 'string', default: '5000' },
    json: { type: 'string' },
    'no-ours': { type: 'boolean', default: false },
    'no-push': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

async function main(): Promise<void> {
  const peers = positionals.map(peer);
  const streams = Number(options['of-streams']);
  const folder = cacheFolder(streams === 30 ? `corpus${options.mib}` : `corpus${options.mib}-${streams}`);
  const corpus = corpusIn(folder, Number(options.mib), streams);
  console.log(`${corpus.lines} lines, ${mb(corpus.bytes)} MB in ${corpus.bodies} pushes, ${corpus.streams} streams`);
  const outcomes: Record<string, Outcome> = {};
  if (!options['no-ours']) {
    await using server = await TestServer.start({ flags: [...LIFTED, ...COMPACTING, `-compactor.compaction-interval=${SWEEP_MS}ms`] });
    const ours: System = {
      name: 'millrace',
      kind: systemKinds.loki,
      url: server.url,
      pid: server.process.pid,
      dataDir: server.dataDir,
      compacts: true,
    };
    outcomes[ours.name] = await measure(ours, folder, corpus, true);
  }
  for (const system of peers) outcomes[system.name] = await measure(system, folder, corpus, !options['no-push']);
  const sameLanguage = new Set(['millrace', ...peers.filter(({ kind }) => kind === systemKinds.loki).map(({ name }) => name)]);
  compareAnswers(Object.entries(outcomes).filter(([name]) => sameLanguage.has(name)));
  if (options.json) writeFileSync(options.json, `${JSON.stringify({ corpus, outcomes }, null, 1)}\n`);
}

function peer(text: string): System {
  const match = /^([^=]+)=(\w+)\|([^|]+)\|(\d+)(?:\|(.+))?$/.exec(text);
  const kind = match === null ? undefined : systemKinds[match[2]];
  if (match === null || kind === undefined) throw new Error(`not NAME=KIND|URL|PID[|DATA_DIR]: ${text}\n${USAGE}`);
  return { name: match[1], kind, url: match[3], pid: Number(match[4]), dataDir: match[5], compacts: false };
}

async function measure(system: System, folder: string, corpus: Corpus, pushing: boolean): Promise<Outcome> {
  const outcome: Outcome = { queries: {}, peakMb: 0 };
  if (pushing) {
    outcome.ingest = await ingest(system, readBodies(folder), corpus);
    console.log(system.name.padEnd(10), 'ingest', JSON.stringify(outcome.ingest));
  }
  for (const question of questions(corpus)) {
    if (options.only !== undefined && options.only !== question.id) continue;
    const runs: { ms: number; cpuMs: number; answer: string }[] = [];
    for (let repeat = 0; repeat < Number(options.reps); repeat++) {
      const [cpu, started] = [cpuSeconds(system.pid), performance.now()];
      const answer = await system.kind.ask(system.url, question, corpus);
      runs.push({ ms: performance.now() - started, cpuMs: (cpuSeconds(system.pid) - cpu) * 1_000, answer });
    }
    const [{ ms: firstMs }] = runs;
    const bestMs = Math.min(...runs.map(({ ms }) => ms));
    const bestCpuMs = Math.min(...runs.map(({ cpuMs }) => cpuMs));
    const { answer } = runs[runs.length - 1];
    outcome.queries[question.id] = { firstMs: round(firstMs), bestMs: round(bestMs), bestCpuMs: round(bestCpuMs), answer };
    console.log(
      system.name.padEnd(10),
      question.id.padEnd(18),
      `first ${round(firstMs)} ms`.padEnd(18),
      `best ${round(bestMs)} ms`.padEnd(18),
      answer,
    );
  }
  outcome.peakMb = peakMb(system.pid);
  console.log(system.name.padEnd(10), `peak ${outcome.peakMb} MB`);
  return outcome;
}

async function ingest(system: System, bodies: readonly Buffer[], corpus: Corpus): Promise<NonNullable<Outcome['ingest']>> {
  const [cpu, started] = [cpuSeconds(system.pid), performance.now()];
  let next = 0;
  let refused = 0;
  const client = async (): Promise<void> => {
    while (next < bodies.length) {
      const outcome = await pushOne(system.kind, system.url, bodies[next++]);
      if (typeof outcome === 'number') continue;
      console.error(`${system.name}: ${outcome}`);
      refused += 1;
    }
  };
  await Promise.all(Array.from({ length: Number(options.conc) }, client));
  const wallS = (performance.now() - started) / 1_000;
  const cpuS = round(cpuSeconds(system.pid) - cpu);
  await (await system.kind.flush(system.url)).text();
  const cpuFlushedS = round(cpuSeconds(system.pid) - cpu);
  if (system.compacts) {
    await compacted(system.url);
    await sleep(DELETION_DELAY_MS + SWEEP_MS);
  } else await sleep(Number(options.settle));
  return {
    mbPerS: round(corpus.bytes / 1e6 / wallS),
    cpuS,
    cpuFlushedS,
    cpuSettledS: round(cpuSeconds(system.pid) - cpu),
    refused,
    peakMb: peakMb(system.pid),
    diskMb: system.dataDir === undefined ? undefined : Number(execFileSync('du', ['-sm', system.dataDir]).toString().split('\t')[0]),
  };
}

/** A fast wrong answer is worth nothing. Wants systems that speak the same language. */
function compareAnswers(outcomes: [name: string, outcome: Outcome][]): void {
  if (outcomes.length === 0) return;
  const [[reference, first], ...others] = outcomes;
  for (const [name, { queries }] of others) {
    for (const [id, { answer }] of Object.entries(queries)) {
      const expected = first.queries[id]?.answer;
      if (answer !== expected) console.log(`ANSWERS DIFFER ${id}: ${reference} '${expected}', ${name} '${answer}'`);
    }
  }
}

/** User and system time of a process so far (Linux). */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function peakMb(pid: number): number {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

if (options.help) console.log(USAGE);
else if (mode !== undefined) await MODES[mode].run();
else await main();
