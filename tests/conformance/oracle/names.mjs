// Writes ops/loki-names.txt: the names of all options of a Loki. Keys are those of its configuration reference
// (docs/sources/shared/configuration.md of the same version) and those that its binary prints, which are not quite the same; flags those that it lists.
//
//     node tests/conformance/oracle/names.mjs LOKI CONFIGURATION.MD
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const [loki, reference] = process.argv.slice(2);

/** The text of each YAML block of the page by the heading above it; '' for the first, the file as a whole. */
function blocksOf(page) {
  const blocks = new Map();
  for (const [index, part] of page.split(/^### /m).entries()) {
    const yaml = [...part.matchAll(/^```yaml\n(.*?)^```/gms)].at(-1);
    const heading = part.slice(0, part.indexOf('\n'));
    if (yaml) blocks.set(/^[a-z0-9_]+$/.test(heading) ? heading : index === 0 ? 'none' : '', yaml[1]);
  }
  return blocks;
}

/** Calls `visit` with the path of every key, named blocks filled in. */
function walk(blocks, block, path, visit) {
  const groups = []; // the open groups by their indentation
  for (const line of blocks.get(block).split('\n')) {
    const match = /^( *)(?:([a-z0-9_]+):$|\[(?:([a-z0-9_]+):)? ?(?:<([^>]*)>)?)/.exec(line);
    if (match === null) continue;
    const [, { length: indentation }, group, key, type] = match;
    while (groups.length > 0 && groups.at(-1).indentation >= indentation) groups.pop();
    const at = [...path, ...groups.map(({ name }) => name)];
    const name = group ?? key;
    if (name !== undefined) visit([...at, name]);
    if (group !== undefined) groups.push({ indentation, name });
    else if (blocks.has(type) && type !== '') walk(blocks, type, key === undefined ? at : [...at, key], visit);
  }
}

/** Calls `visit` with the path of every key of a value as YAML holds it. */
function walkValue(value, path, visit) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [name, below] of Object.entries(value)) {
    visit([...path, name]);
    walkValue(below, [...path, name], visit);
  }
}

/** What Loki says when it is started so, on either stream. */
function said(...flags) {
  const env = { ...process.env, LOKI_DATA: '.', LOKI_PORT: '0', LOKI_GRPC_PORT: '0' };
  const { stdout, stderr, error } = spawnSync(loki, flags, { env, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (error) throw error;
  return stdout + stderr;
}

/** Lines `group group: name name`, groups with equal names on one line; the last part of a path is the name. */
function linesOf(paths) {
  const groups = new Map();
  for (const path of [...paths].sort()) {
    const cut = path.lastIndexOf('.');
    const group = cut < 0 ? '.' : path.slice(0, cut);
    groups.set(group, [...(groups.get(group) ?? []), path.slice(cut + 1)]);
  }
  const byNames = new Map();
  for (const [group, names] of groups) byNames.set(names.join(' '), [...(byNames.get(names.join(' ')) ?? []), group]);
  return [...byNames].map(([names, same]) => `${same.join(' ')}: ${names}\n`).join('');
}

const keys = new Set();
const addKey = (path) => keys.add(path.join('.'));
walk(blocksOf(readFileSync(reference, 'utf8')), '', [], addKey);
const config = fileURLToPath(new URL('loki.yaml', import.meta.url));
const printed = said('-verify-config', '-print-config-stderr', '-config.expand-env', `-config.file=${config}`);
walkValue(parse(/^---\n(.*?)\n\n/ms.exec(printed)[1]), [], addKey);

const flags = new Set([...said('-help').matchAll(/^ {2}-([a-z0-9._-]+)/gm)].map(([, flag]) => flag));

const note = '# Names of the options of Grafana Loki, to tell them from misspelt ones. Written by tests/conformance/oracle/names.mjs.\n';
writeFileSync(new URL('../../../ops/loki-names.txt', import.meta.url), `${note}[keys]\n${linesOf(keys)}[flags]\n${linesOf(flags)}`);
console.log(`${keys.size} keys, ${flags.size} flags`);
