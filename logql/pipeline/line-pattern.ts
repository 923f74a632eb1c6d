/** A pattern like `<ip> - <_> "<method>`: literals and captures in turn. */
export interface LinePattern {
  readonly nodes: readonly PatternNode[];
}
export type PatternNode = { readonly literal: Buffer } | { readonly capture: string }; // '_': matched but not kept

/** Parses what `| pattern` takes. Throws Error with the reason. */
export function parseCapturePattern(text: string): LinePattern {
  const pattern = parse(text);
  const names = namedCaptures(pattern);
  if (names.length === 0) throw new Error('at least one capture is required');
  refuseNeighbours(pattern);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`duplicate capture name (${twice}): invalid expression`);
  return pattern;
}

/** Parses what `|>` takes: captures without a name. Throws Error with the reason. */
export function parseFilterPattern(text: string): LinePattern {
  const pattern = parse(text);
  refuseNeighbours(pattern);
  const [name] = namedCaptures(pattern);
  if (name !== undefined) throw new Error(`named captures are not allowed: found '<${name}>'`);
  return pattern;
}

function namedCaptures({ nodes }: LinePattern): string[] {
  return nodes.flatMap((node) => ('capture' in node && node.capture !== '_' ? [node.capture] : []));
}

function refuseNeighbours({ nodes }: LinePattern): void {
  for (const [index, node] of nodes.entries()) {
    const next = nodes[index + 1];
    if (next === undefined || !('capture' in node) || !('capture' in next)) continue;
    throw new Error(`found consecutive capture '<${node.capture}><${next.capture}>': invalid expression`);
  }
}

function parse(text: string): LinePattern {
  const nodes: PatternNode[] = [];
  let done = 0;
  for (const match of text.matchAll(/<([A-Za-z_][A-Za-z0-9_]*)>/g)) {
    if (match.index > done) nodes.push({ literal: Buffer.from(text.slice(done, match.index)) });
    nodes.push({ capture: match[1] });
    done = match.index + match[0].length;
  }
  if (done < text.length) nodes.push({ literal: Buffer.from(text.slice(done)) });
  return { nodes };
}

/** Goes through the captures of a pattern that a caller wants, line by line. */
export class PatternCaptures {
  /** Up to the literal behind the last capture that is wanted: what comes after it changes nothing. */
  readonly #nodes: readonly PatternNode[];
  readonly #wants: (name: string) => boolean;

  /** `wants`: whether a name may be asked for. */
  constructor({ nodes }: LinePattern, wants: (name: string) => boolean) {
    const last = nodes.findLastIndex((node) => 'capture' in node && node.capture !== '_' && wants(node.capture));
    this.#nodes = last < 0 ? [] : nodes.slice(0, last + 2);
    this.#wants = (name) => name !== '_' && wants(name);
  }

  /** Calls `keep` for each capture of bytes [from, to), until it says no: then false. A literal that does not come ends the line's last capture. */
  of(bytes: Buffer, from: number, to: number, keep: (name: string, from: number, to: number) => boolean): boolean {
    if (from === to) return true;
    let at = from;
    let capture: string | undefined;
    for (const node of this.#nodes) {
      if ('capture' in node) {
        capture = node.capture;
        continue;
      }
      if (capture === undefined) {
        // In front of all captures: two literals never follow each other.
        if (!startsAt(bytes, node.literal, from, to)) return true;
        at = from + node.literal.length;
        continue;
      }
      const hit = find(bytes, node.literal, at, to);
      if (this.#wants(capture) && !keep(capture, at, hit < 0 ? to : hit)) return false;
      if (hit < 0) return true;
      at = hit + node.literal.length;
      capture = undefined;
    }
    return capture === undefined || !this.#wants(capture) || keep(capture, at, to);
  }
}

/** Where the literal comes first in bytes [from, to); -1 if it does not. It is near, mostly: a call of a native search takes longer than to get there. */
function find(bytes: Buffer, literal: Buffer, from: number, to: number): number {
  const first = literal[0];
  const last = to - literal.length;
  for (let at = from; at <= last; at++) if (bytes[at] === first && startsAt(bytes, literal, at, to)) return at;
  return -1;
}

function startsAt(bytes: Buffer, literal: Buffer, from: number, to: number): boolean {
  if (from + literal.length > to) return false;
  for (let index = 0; index < literal.length; index++) if (bytes[from + index] !== literal[index]) return false;
  return true;
}

/** Whether the line is as the pattern says, to its end; a literal in front may stand anywhere, as in Loki. Each `<_>` stands for at least one byte. */
export function matchesPattern({ nodes }: LinePattern, line: Buffer): boolean {
  if (line.length === 0 || nodes.length === 0) return line.length === nodes.length;
  let at = 0;
  for (const [index, node] of nodes.entries()) {
    if ('capture' in node) continue;
    const hit = line.indexOf(node.literal, at);
    if (hit < 0 || (index !== 0 && hit === at)) return false;
    at = hit + node.literal.length;
  }
  return 'capture' in nodes[nodes.length - 1] === at < line.length;
}
