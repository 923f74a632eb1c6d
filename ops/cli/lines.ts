import { StringDecoder } from 'node:string_decoder';

/** The lines of a byte stream as they arrive, without their line ends; `bytes` is what was read for them. Lines end with \n or \r\n,
 *  the last one may end with the stream. What is not UTF-8 becomes U+FFFD. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<{ lines: string[]; bytes: number }> {
  const decoder = new StringDecoder('utf8');
  const parts: string[] = []; // of a line that goes on: joined once, or a line of many chunks would cost its square
  for await (const chunk of chunks) {
    const pieces = decoder.write(chunk).split('\n');
    parts.push(pieces[0]);
    if (pieces.length === 1) {
      yield { lines: [], bytes: chunk.length };
      continue;
    }
    const lines = [parts.join(''), ...pieces.slice(1, -1)];
    parts.length = 0;
    parts.push(pieces[pieces.length - 1]);
    yield { lines: lines.map(withoutReturn), bytes: chunk.length };
  }
  const rest = parts.join('') + decoder.end();
  if (rest !== '') yield { lines: [withoutReturn(rest)], bytes: 0 };
}

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line);
