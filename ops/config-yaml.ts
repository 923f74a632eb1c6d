import { Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import type { Findings } from './config-findings.ts';
import { didYouMean, type Given, given, type Slot } from './config-slots.ts';
import { isLokiKey } from './loki-names.ts';

/** One key of a map in a YAML file. */
export interface YamlEntry {
  readonly name: string;
  /** `loki.yaml:12` */
  readonly where: string;
  readonly value: YamlValue;
}
declare const opaque: unique symbol;
/** What stands at a key; for {@link YamlFile} to look into. */
export type YamlValue = { readonly [opaque]: true };

/** A YAML file as maps of keys whose lines are known. Aliases and `<<` are followed. */
export class YamlFile {
  readonly #file: string;
  readonly #document: Document.Parsed;
  readonly #lines = new LineCounter();
  /** Maps that are being read, since one could stand for itself by an alias. */
  readonly #open = new Set<YAMLMap>();

  /** Broken YAML is added to `findings`, and the file then holds nothing. */
  constructor(file: string, text: string, findings: Findings) {
    this.#file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true });
    for (const error of this.#document.errors) findings.problem(this.#at(error.pos[0]), error.message);
  }

  /** The keys at the top of the file. */
  top(findings: Findings): readonly YamlEntry[] {
    if (this.#document.errors.length > 0 || this.#document.contents === null) return [];
    const { contents } = this.#document;
    if (isMap(contents)) return this.#entriesOf(contents, findings);
    findings.problem(this.#nodeAt(contents), 'wants keys with values');
    return [];
  }

  /** The keys below an entry; `name`: of the entry, in full. A key with nothing after it has none. */
  below({ where, value }: YamlEntry, name: string, findings: Findings): readonly YamlEntry[] {
    const node = this.#resolved(value);
    if (isMap(node)) return this.#entriesOf(node, findings);
    if (!isNothing(node)) findings.problem(where, `${name}: wants keys with values`);
    return [];
  }

  /** The text of a single value, or of a list of them separated by commas; undefined if there is nothing, or if it is none of these. */
  text({ where, value }: YamlEntry, name: string, isList: boolean, findings: Findings): string | undefined {
    const node = this.#resolved(value);
    if (isNothing(node)) return undefined;
    if (isScalar(node)) return textOf(node);
    const items = isList && isSeq(node) ? node.items.map((item) => this.#resolved(item)) : [undefined];
    if (items.every((item) => isScalar(item))) return items.map(textOf).join(',');
    findings.problem(where, `${name}: wants a single value${isList ? ' or a list of them' : ''}`);
    return undefined;
  }

  /** What stands there, whatever it is, as JSON; undefined if there is nothing. */
  json({ value }: YamlEntry): string | undefined {
    const node = this.#resolved(value);
    return isNothing(node) || !isNode(node) ? undefined : JSON.stringify(node.toJS(this.#document));
  }

  #entriesOf(map: YAMLMap, findings: Findings): readonly YamlEntry[] {
    const own: YamlEntry[] = [];
    const merged: YamlEntry[] = [];
    this.#open.add(map);
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? textOf(key) : String(key);
      const entry = { name, where: this.#nodeAt(key as Node), value: value as YamlValue };
      if (name !== '<<') own.push(entry);
      else merged.push(...this.#merged(entry, findings));
    }
    this.#open.delete(map);
    const names = new Set(own.map(({ name }) => name));
    return [...merged.filter(({ name }) => !names.has(name)), ...own];
  }

  /** The keys of the map, or of the maps, that `<<` stands for; of equal ones the first. */
  #merged(entry: YamlEntry, findings: Findings): readonly YamlEntry[] {
    const node = this.#resolved(entry.value);
    const maps = (isSeq(node) ? node.items : [node]).map((item) => this.#resolved(item));
    if (!maps.every((item): item is YAMLMap => isMap(item) && !this.#open.has(item))) {
      findings.problem(entry.where, '<<: wants an alias of keys with values');
      return [];
    }
    const byName = new Map<string, YamlEntry>();
    for (const found of maps.flatMap((map) => this.#entriesOf(map, findings))) if (!byName.has(found.name)) byName.set(found.name, found);
    return [...byName.values()];
  }

  #resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }
  #nodeAt(node: Node): string {
    return this.#at(node.range?.[0] ?? 0);
  }
  #at(offset: number): string {
    return `${this.#file}:${this.#lines.linePos(offset).line}`;
  }
}

function isNothing(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

/** As it stands in the file, without its quotes: `0042` is not 42. */
function textOf(node: { value: unknown; source?: string }): string {
  return node.source ?? String(node.value);
}

/** Options at the leaves, by the keys that lead to them. */
export type KnownKeys = ReadonlyMap<string, KnownKeys | Slot>;

export function knownKeys(slots: readonly Slot[]): KnownKeys {
  type Branch = Map<string, Branch | Slot>;
  const root: Branch = new Map();
  for (const slot of slots) {
    let map = root;
    for (const part of slot.path.slice(0, -1)) {
      let child = map.get(part);
      if (!(child instanceof Map)) {
        child = new Map();
        map.set(part, child);
      }
      map = child;
    }
    map.set(slot.path[slot.path.length - 1], slot);
  }
  return root;
}

/** What `entries` set. `shown`: the keys above them, for messages; `path`: the same in a configuration file. */
export function readOptions(
  file: YamlFile,
  entries: readonly YamlEntry[],
  at: { readonly known: KnownKeys; readonly shown: readonly string[]; readonly path: readonly string[] },
  findings: Findings,
): Given[] {
  return entries.flatMap((entry): Given[] => {
    const { name, where } = entry;
    const path = [...at.path, name];
    const shown = [...at.shown, name];
    const fullName = shown.join('.');
    const known = at.known.get(name);
    if (known === undefined) {
      if (isLokiKey(path)) findings.unsupported(`${where}: ${fullName}`);
      else findings.problem(where, `unknown key ${fullName}${didYouMean(name, at.known.keys())}`);
      return [];
    }
    if (known instanceof Map) return readOptions(file, file.below(entry, fullName, findings), { known, shown, path }, findings);
    const slot = known as Slot;
    const { type } = slot.option;
    const text = type === 'maps' || type === 'map' ? file.json(entry) : file.text(entry, fullName, type === 'list', findings);
    return text === undefined ? [] : given(slot, text, `${where}: ${fullName}`, findings);
  });
}

/** A YAML text of values by their keys: `[['server', 'http_listen_port'], 3100]`. */
export function writeYaml(values: readonly (readonly [path: readonly string[], value: unknown])[]): string {
  const document = new Document({});
  for (const [path, value] of values) document.setIn(path, value);
  return document.toString({ lineWidth: 0 });
}
