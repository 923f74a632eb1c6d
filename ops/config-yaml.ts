import { Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';
import { didYouMean, type Given, type Slot } from './config-slots.ts';

/** A file's place in the tree of known keys: options at the leaves. */
type Known = Map<string, Known | Slot>;

/** What a YAML file sets. Problems name the file and the line: unknown keys, values of a wrong shape, broken YAML.
 *  A key with nothing after it is as good as absent. */
export function readYaml(file: string, text: string, slots: readonly Slot[], problems: string[]): Given[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`;
  for (const error of document.errors) problems.push(`${at(error.pos[0])}: ${error.message}`);
  if (document.errors.length > 0) return [];

  const given: Given[] = [];
  const nodeAt = (node: Node): string => at(node.range?.[0] ?? 0);
  const resolved = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node);

  const leaf = (slot: Slot, value: Node, keyAt: string): void => {
    const name = slot.path.join('.');
    const node = resolved(value);
    if (isScalar(node)) {
      if (node.value !== null) given.push({ slot, text: node.source ?? String(node.value), where: `${keyAt}: ${name}` });
    } else if (isSeq(node) && slot.option.type === 'list' && node.items.every((item) => isScalar(item))) {
      given.push({
        slot,
        text: node.items.map((item) => String((item as { value: unknown }).value)).join(','),
        where: `${keyAt}: ${name}`,
      });
    } else {
      problems.push(`${keyAt}: ${name}: wants a single value${slot.option.type === 'list' ? ' or a list of them' : ''}`);
    }
  };

  const walk = (map: YAMLMap, known: Known, path: readonly string[]): void => {
    for (const { key, value } of map.items) {
      const keyNode = key as Node;
      const name = isScalar(keyNode) ? String(keyNode.value) : String(keyNode);
      const keyAt = nodeAt(keyNode);
      const child = known.get(name);
      const full = [...path, name];
      if (child === undefined) {
        problems.push(`${keyAt}: unknown key ${full.join('.')}${didYouMean(name, known.keys())}`);
      } else if (!(child instanceof Map)) {
        leaf(child, value as Node, keyAt);
      } else {
        const node = resolved(value);
        if (isMap(node)) walk(node, child, full);
        else if (!(node === null || (isScalar(node) && node.value === null)))
          problems.push(`${keyAt}: ${full.join('.')}: wants keys with values`);
      }
    }
  };

  const top = document.contents;
  if (isMap(top)) walk(top, knownKeys(slots), []);
  else if (top !== null) problems.push(`${nodeAt(top as Node)}: wants keys with values`);
  return given;
}

function knownKeys(slots: readonly Slot[]): Known {
  const root: Known = new Map();
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

/** The values as a file that {@link readYaml} reads back. */
export function writeYaml(values: readonly (readonly [slot: Slot, value: unknown])[]): string {
  const document = new Document({});
  for (const [slot, value] of values) document.setIn(slot.path, plain(slot, value));
  return document.toString({ lineWidth: 0 });
}

function plain(slot: Slot, value: unknown): unknown {
  const { type, print } = slot.option;
  return type === 'bool' || type === 'int' || type === 'float' || type === 'list' ? value : print(value);
}
