import { Fault } from '../ops/base/fault.ts';
import type { Label, Labels } from './model.ts';
import { unquoteGo } from './syntax/go-string.ts';

/** The labels whose canonical text (model.ts: formatLabels) this is. Throws Fault internal if it is none. */
export function parseLabels(text: string): Labels {
  const labels: Label[] = [];
  for (let at = 1; text[at] !== '}'; ) {
    const endOfName = text[at] === '"' ? endOfQuoted(text, at) : text.indexOf('=', at);
    const end = endOfName < 0 ? -1 : endOfQuoted(text, endOfName + 1);
    if (end < 0 || (text[end] !== '}' && !text.startsWith(', ', end))) throw new Fault('internal', `not the text of labels: ${text}`);
    const name = text.slice(at, endOfName);
    labels.push([name[0] === '"' ? unquoted(name) : name, unquoted(text.slice(endOfName + 1, end))]);
    at = text[end] === ',' ? end + 2 : end;
  }
  return labels;
}

/** Behind the literal that begins at `from`; -1 if none does. */
function endOfQuoted(text: string, from: number): number {
  if (text[from] !== '"') return -1;
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return -1;
}

function unquoted(literal: string): string {
  return literal.includes('\\') ? unquoteGo(literal)! : literal.slice(1, -1);
}
