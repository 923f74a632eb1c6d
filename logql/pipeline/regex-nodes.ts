import { contains } from './regex-classes.ts';
import type { Regex } from './regex-parse.ts';

const REPLACEMENT = 0xfffd;

export function has(node: Regex, wanted: (node: Regex) => boolean): boolean {
  if (wanted(node)) return true;
  if (node.kind === 'group' || node.kind === 'repeat') return has(node.item, wanted);
  return (node.kind === 'concat' || node.kind === 'alternate') && node.items.some((item) => has(item, wanted));
}

export const hasAssertion = (node: Regex): boolean => has(node, ({ kind }) => kind === 'assert');

/** Whether it can match without taking a byte. */
export function isNullable(node: Regex): boolean {
  switch (node.kind) {
    case 'class':
      return false;
    case 'assert':
      return true;
    case 'group':
      return isNullable(node.item);
    case 'repeat':
      return node.min === 0 || isNullable(node.item);
    case 'concat':
      return node.items.every(isNullable);
    case 'alternate':
      return node.items.some(isNullable);
  }
}

/** Whether every match begins where the text does. */
export function isAnchored(node: Regex): boolean {
  if (node.kind === 'assert') return node.what === 'text_start';
  if (node.kind === 'group') return isAnchored(node.item);
  if (node.kind === 'alternate') return node.items.every(isAnchored);
  return node.kind === 'concat' && node.items.length > 0 && isAnchored(node.items[0]);
}

/** Whether a byte that is not UTF-8, which RE2 reads as U+FFFD, could take part in a match. */
export function seesInvalid(node: Regex): boolean {
  return has(node, (inner) => inner.kind === 'class' && contains(inner.ranges, REPLACEMENT));
}

/** Drops what a match can do without at either end: whether `.*x.*` matches is whether x does. */
export function stripEnds(root: Regex): Regex {
  if (root.kind === 'group') return stripEnds(root.item);
  if (root.kind !== 'concat') return root;
  const idle = (item: Regex) => isNullable(item) && !hasAssertion(item);
  let from = 0;
  let to = root.items.length;
  while (from < to && idle(root.items[from])) from++;
  while (to > from && idle(root.items[to - 1])) to--;
  const items = root.items.slice(from, to);
  return items.length === 1 ? stripEnds(items[0]) : { kind: 'concat', items };
}
