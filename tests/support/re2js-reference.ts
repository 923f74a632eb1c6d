import { RE2JS } from 're2js';
import { repairUtf8 } from '../../logql/pipeline/utf8-repair.ts';

/** Runs a pattern in linear time whatever it is, slowly: what V8 cannot be trusted with. Offsets are bytes. */
export class Re2jsRegex {
  readonly #regex: RE2JS;

  constructor(pattern: string, options: { anchored: boolean; dotNewline: boolean }) {
    this.#regex = RE2JS.compile(options.anchored ? `\\A(?:${pattern})\\z` : pattern, options.dotNewline ? RE2JS.DOTALL : 0);
  }

  test(bytes: Buffer, from: number, to: number): boolean {
    const line = repairUtf8(bytes, from, to)?.bytes ?? bytes.subarray(from, to);
    return this.#regex.matcher(line.toString()).find();
  }

  /** Pairs of offsets into `line`, valid UTF-8, for the first match at or behind `at`; -1 where a group took no part. */
  captures(line: Buffer, at: number): Int32Array | undefined {
    const text = line.toString();
    const matcher = this.#regex.matcher(text);
    if (!matcher.find(line.toString('utf8', 0, at).length)) return undefined;
    const out = new Int32Array((this.#regex.groupCount() + 1) * 2).fill(-1);
    for (let group = 0; group * 2 < out.length; group++) {
      if (matcher.start(group) < 0) continue;
      out[group * 2] = Buffer.byteLength(text.slice(0, matcher.start(group)));
      out[group * 2 + 1] = Buffer.byteLength(text.slice(0, matcher.end(group)));
    }
    return out;
  }
}
