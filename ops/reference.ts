import { type Option, type Rows, type Section, snakeCase } from './base/options.ts';
import { type Slot, slotsOf } from './config-slots.ts';

const INTRODUCTION = `# Options

Every option can be set in the YAML file that \`-config.file\` names, in the environment, and as a flag; the later of these wins. Names are Loki's where Loki has the
option. The variable of the environment is the flag in capitals with \`_\` for \`.\` and \`-\`, so \`SERVER_HTTP_LISTEN_PORT\`; a flag without a point gets a prefix,
so \`MILLRACE_TARGET\`. Durations are written \`30s\`, \`1h30m\`, \`1w\`; sizes \`256KB\`, \`4MB\` (powers of 1024); lists as YAML lists or with commas.

What is under \`limits_config\`, apart from \`per_tenant_…\`, can be set for a single tenant in a file named by \`runtime_config.file\`, below \`overrides\` and the
tenant's id; changes of that file are followed without a restart.

\`npx millrace serve -help\` prints the same as a text, \`GET /config\` the values in effect (\`?mode=diffs\`: those that are not the defaults),
\`npx millrace config check FILE\` says what is wrong with a file.
`;

/** OPTIONS.md; a test keeps the file equal to this. */
export function referencePage(sections: readonly Section<Rows>[]): string {
  const slots = slotsOf(sections);
  const pages = [...new Set(slots.map(({ section }) => section.yaml))].map((yaml) => {
    const rows = slots.filter(({ section }) => section.yaml === yaml).map(rowOf);
    return `\n## ${yaml === '' ? 'At the top of the file' : yaml}\n\n${rows.join('')}`;
  });
  return INTRODUCTION + pages.join('');
}

function rowOf({ section, path, flag, option }: Slot): string {
  const key = path.join('.').slice(section.yaml === '' ? 0 : section.yaml.length + 1);
  const items = Object.entries(option.rows ?? {}).map(
    ([name, row]) => `  - \`${snakeCase(name)}\` (${row.type}${fallbackOf(row)}): ${row.doc}\n`,
  );
  return `- \`${key}\` (${option.type}, \`-${flag}\`${fallbackOf(option)}): ${option.doc}\n${items.join('')}`;
}

function fallbackOf(option: Option<unknown>): string {
  return option.default === '' ? '' : `, default \`${option.default.replaceAll(',', ', ')}\``;
}
