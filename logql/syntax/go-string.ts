const SIMPLE: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, "'": 39, '"': 34 };

/** The text that a Go string literal stands for, `"…"` with escapes or a raw one in backquotes; undefined if an escape is wrong.
 *  Byte escapes (`\xff`, `\377`) that form no UTF-8 become U+FFFD. */
export function unquoteGo(literal: string): string | undefined {
  const body = literal.slice(1, -1);
  if (literal[0] === '`') return body.replaceAll('\r', '');
  if (!body.includes('\\')) return body;
  const parts: Buffer[] = [];
  const escapes = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gsu;
  let end = 0;
  for (const match of body.matchAll(escapes)) {
    const [whole, byte, short, long, octal, simple] = match;
    parts.push(Buffer.from(body.slice(end, match.index)));
    end = match.index + whole.length;
    if (byte !== undefined) parts.push(Buffer.of(Number.parseInt(byte, 16)));
    else if (octal !== undefined) {
      const value = Number.parseInt(octal, 8);
      if (value > 255) return undefined;
      parts.push(Buffer.of(value));
    } else if (simple !== undefined) {
      if (SIMPLE[simple] === undefined || simple === "'") return undefined;
      parts.push(Buffer.of(SIMPLE[simple]));
    } else {
      const code = Number.parseInt(short ?? long, 16);
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
      parts.push(Buffer.from(String.fromCodePoint(code)));
    }
  }
  parts.push(Buffer.from(body.slice(end)));
  return Buffer.concat(parts).toString();
}
