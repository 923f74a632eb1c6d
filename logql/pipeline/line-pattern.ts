/** A pattern like `<ip> - <_> "<method>`: literals and captures in turn. */
export interface LinePattern {
  readonly nodes: readonly PatternNode[];
}
export type PatternNode = { readonly literal: Buffer } | { readonly capture: string }; // '_': matched but not kept

/** Parses what `| pattern` takes. Throws Error with the reason. */
export function parseCapturePattern(text: string): LinePattern {
  const pattern = parse(text, /<([A-Za-z_][A-Za-z0-9_]*)>/g);
  const names = pattern.nodes.flatMap((node) => ('capture' in node && node.capture !== '_' ? [node.capture] : []));
  if (names.length === 0) throw new Error('at least one capture is required: invalid expression');
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`duplicate capture name (${twice}): invalid expression`);
  return pattern;
}

/** Parses what `|>` takes: only `<_>` is a capture. Throws Error with the reason. */
export function parseFilterPattern(text: string): LinePattern {
  return parse(text, /<(_)>/g);
}

function parse(text: string, capture: RegExp): LinePattern {
  const nodes: PatternNode[] = [];
  let done = 0;
  for (const match of text.matchAll(capture)) {
    if (match.index > done) nodes.push({ literal: Buffer.from(text.slice(done, match.index)) });
    const last = nodes.at(-1);
    if (last !== undefined && 'capture' in last) {
      throw new Error(`found consecutive capture '<${last.capture}>${match[0]}': invalid expression`);
    }
    nodes.push({ capture: match[1] });
    done = match.index + match[0].length;
  }
  if (done < text.length) nodes.push({ literal: Buffer.from(text.slice(done)) });
  return { nodes };
}

/** Calls `keep` for each named capture of bytes [from, to). A literal that does not come ends the line's last capture. */
export function captureLine(
  { nodes }: LinePattern,
  bytes: Buffer,
  from: number,
  to: number,
  keep: (name: string, from: number, to: number) => void,
): void {
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
      if (hit !== 0) return;
    } else if (capture !== '_') keep(capture, from + at, hit < 0 ? to : from + hit);
    if (hit < 0) return;
    at = hit + node.literal.length;
    capture = undefined;
  }
  if (capture !== undefined && capture !== '_' && line.length > 0) keep(capture, from + at, to);
}

/** Whether all of the line is as the pattern says; each `<_>` stands for at least one byte. */
export function matchesPattern({ nodes }: LinePattern, line: Buffer): boolean {
  if (line.length === 0 || nodes.length === 0) return line.length === nodes.length;
  let at = 0;
  for (const [index, node] of nodes.entries()) {
    if ('capture' in node) continue;
    const hit = line.indexOf(node.literal, at);
    if (hit < 0 || (index === 0 ? hit !== 0 : hit === at)) return false;
    at = hit + node.literal.length;
  }
  return 'capture' in nodes[nodes.length - 1] === at < line.length;
}
