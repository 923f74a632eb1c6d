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

/** Calls `keep` for each named capture of bytes [from, to), until it says no: then false. A literal that does not come ends the line's last capture. */
export function captureLine(
  { nodes }: LinePattern,
  bytes: Buffer,
  from: number,
  to: number,
  keep: (name: string, from: number, to: number) => boolean,
): boolean {
  if (from === to) return true;
  const line = bytes.subarray(from, to);
  let at = 0;
  let capture: string | undefined;
  for (const node of nodes) {
    if ('capture' in node) {
      capture = node.capture;
      continue;
    }
    const hit = line.indexOf(node.literal, at);
    if (capture === undefined) {
      if (hit !== 0) return true;
    } else if (capture !== '_' && !keep(capture, from + at, hit < 0 ? to : from + hit)) return false;
    if (hit < 0) return true;
    at = hit + node.literal.length;
    capture = undefined;
  }
  return capture === undefined || capture === '_' || keep(capture, from + at, to);
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
