import type { Labels } from '../model.ts';
import { jsonExtractor } from './extract-json.ts';
import { logfmtExtractor } from './extract-logfmt.ts';
import { pathOf } from './key-table.ts';
import { LabelContext, LabelState } from './label-state.ts';
import { Wanted } from './wanted.ts';

export interface LineFields {
  readonly parser: 'json' | 'logfmt';
  readonly fields: Labels;
  /** Of a field that json found: the keys that lead to it. */
  readonly paths: ReadonlyMap<string, readonly string[]>;
}

/** Reads lines of which nobody said how they are written. Keeps what it learnt of their keys from line to line. */
export class LineReader {
  readonly #json: (state: LabelState) => void;
  readonly #logfmt: (state: LabelState) => void;
  #paths = new Map<string, readonly string[]>();

  constructor() {
    const everything = new Wanted(undefined);
    this.#json = jsonExtractor(everything, (name, key) => this.#paths.set(name, pathOf(key)));
    this.#logfmt = logfmtExtractor({ strict: false, keepEmpty: false }, everything);
  }

  /** The fields of a line as `json` finds them, or where it is no JSON object as `logfmt` does, under the names that they would have beside the labels of
   *  `stream`. */
  read(line: Buffer, stream: Labels): LineFields {
    this.#paths = new Map();
    const asJson = stateOf(line, stream);
    this.#json(asJson);
    if (asJson.error === '') return { parser: 'json', fields: asJson.labelSet().parsed, paths: this.#paths };
    const asLogfmt = stateOf(line, stream);
    this.#logfmt(asLogfmt);
    return { parser: 'logfmt', fields: asLogfmt.labelSet().parsed, paths: new Map() };
  }
}

function stateOf(line: Buffer, stream: Labels): LabelState {
  const state = new LabelState(stream, new LabelContext('all', () => 0n));
  state.setLine(line);
  return state;
}
