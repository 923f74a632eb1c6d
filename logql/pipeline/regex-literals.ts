import type { Regex } from './regex-parse.ts';

const REPLACEMENT = 0xfffd;

/** The one text that `node` matches, if there is just one. */
export function exactText(node: Regex): string | undefined {
  switch (node.kind) {
    case 'class': {
      const [lo, hi] = node.ranges;
      // U+FFFD also stands for bytes that are not UTF-8, so its bytes need not be in the line.
      return node.ranges.length === 2 && lo === hi && lo !== REPLACEMENT ? String.fromCodePoint(lo) : undefined;
    }
    case 'group':
      return exactText(node.item);
    case 'concat': {
      let text = '';
      for (const item of node.items) {
        const part = exactText(item);
        if (part === undefined) return undefined;
        text += part;
      }
      return text;
    }
    default:
      return undefined;
  }
}

/** Every text that `node` matches, if they are finitely many plain ones: `a|b(c|d)` gives a, bc, bd. */
export function exactTexts(node: Regex, most = 256): readonly string[] | undefined {
  const exact = exactText(node);
  if (exact !== undefined) return [exact];
  if (node.kind === 'group') return exactTexts(node.item, most);
  if (node.kind === 'alternate') {
    const out: string[] = [];
    for (const item of node.items) {
      const texts = exactTexts(item, most);
      if (texts === undefined || out.length + texts.length > most) return undefined;
      out.push(...texts);
    }
    return out;
  }
  if (node.kind !== 'concat') return undefined;
  let out: readonly string[] = [''];
  for (const item of node.items) {
    const texts = exactTexts(item, most);
    if (texts === undefined || out.length * texts.length > most) return undefined;
    out = out.flatMap((head) => texts.map((tail) => head + tail));
  }
  return out;
}

/** Texts that every match contains. */
export function requiredTexts(node: Regex): string[] {
  const exact = exactText(node);
  if (exact !== undefined) return exact === '' ? [] : [exact];
  if (node.kind === 'group') return requiredTexts(node.item);
  if (node.kind === 'repeat') return node.min > 0 ? requiredTexts(node.item) : [];
  if (node.kind !== 'concat') return [];
  const out: string[] = [];
  let run = '';
  for (const item of node.items) {
    const part = item.kind === 'assert' ? '' : exactText(item);
    if (part !== undefined) {
      run += part;
      continue;
    }
    if (run !== '') out.push(run);
    run = '';
    out.push(...requiredTexts(item));
  }
  if (run !== '') out.push(run);
  return out;
}
