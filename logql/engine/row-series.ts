import { Fault } from '../../ops/base/fault.ts';
import { type Block, type BlockOutline, formatLabels, type Label, type Labels, labelValue, toLabels } from '../model.ts';
import { ERROR, PRESERVE_ERROR } from '../pipeline/label-state.ts';
import type { LabelSet, Row } from '../pipeline/pipeline.ts';
import { keepLabels, type SeriesLabels } from './grouping.ts';

/** Combinations of metadata values up to which a table finds a row's series; a map beyond. */
const TABLE_SIZE = 65_536;
/** Keys of a stream that are remembered. */
const MOST_KEYS = 8_192;
const NO_LABELS = formatLabels([]);

/** Whether metadata of `block` was pushed under the name of the error label, so that each row has to be asked. */
export function hasPushedErrors(block: BlockOutline): boolean {
  return block.metadataBytes > 0 && block.metadataKeys().includes(ERROR);
}

/** Finds the series of one stream's entries, as numbers. */
export class RowSeries {
  readonly #keep: SeriesLabels;
  readonly #stream: Labels;
  readonly #numberOf: (text: string) => number;
  /** Whether metadata cannot change an entry's series: all names it is known by are labels of the stream, which metadata does not override. */
  readonly #fixed: boolean;
  /** What was found lately: an unwrapped label makes about every entry's set another one. */
  readonly #bySet = new WeakMap<LabelSet, number>();
  readonly #byKey = new Map<string | undefined, number>();

  /** `numberOf`: the number of the series with this canonical text. */
  constructor(keep: SeriesLabels, stream: Labels, numberOf: (text: string) => number) {
    this.#keep = keep;
    this.#stream = stream;
    this.#numberOf = numberOf;
    this.#fixed = keep.kind === 'by' && keep.names.every((name) => labelValue(stream, name) !== '');
  }

  /** Whether every row of `block`, as it was pushed, has the series that the stream's labels give. */
  isStreamWide(block: BlockOutline): boolean {
    return this.#fixed || block.metadataBytes === 0 || !block.metadataKeys().some((key) => this.#isRelevant(key));
  }

  /** Whether a metadata column can tell rows apart. A key that a label of the stream has too is known by another name. */
  #isRelevant(key: string): boolean {
    return this.#keep.kind !== 'by' || this.#keep.names.some((name) => name === key || name === `${key}_extracted`);
  }

  /** A function from the rows of `block`, as they were pushed, to their series. */
  ofBlock(block: Block): (row: number) => number {
    const columns = block.metadata().filter(({ key }) => this.#isRelevant(key));
    const create = (row: number): number => this.#numberOf(formatLabels(keepLabels(this.#pushedLabels(block, row), this.#keep)));
    if (columns.length === 1) {
      const { index, values } = columns[0];
      const table: (number | undefined)[] = new Array(values.length + 1);
      return (row) => {
        let series = table[index[row]];
        if (series === undefined) {
          series = create(row);
          table[index[row]] = series;
        }
        return series;
      };
    }
    const combinations = columns.reduce((product, { values }) => product * (values.length + 1), 1);
    if (combinations > Number.MAX_SAFE_INTEGER) return create;
    const known: { get(code: number): number | undefined; set(code: number, series: number): void } =
      combinations <= TABLE_SIZE ? tableOf(combinations) : new Map();
    return (row) => {
      let code = 0;
      for (const { index, values } of columns) code = code * (values.length + 1) + index[row];
      let series = known.get(code);
      if (series === undefined) {
        series = create(row);
        known.set(code, series);
      }
      return series;
    };
  }

  /** The labels that the pipeline gives a row when no stage changes them, made without a look at the row's line. */
  #pushedLabels(block: Block, row: number): Labels {
    const pairs: Label[] = [...this.#stream];
    for (const { key, values, index } of block.metadata()) {
      if (index[row] === 0) continue;
      pairs.push([labelValue(this.#stream, key) === '' ? key : `${key}_extracted`, values[index[row] - 1]]);
    }
    return toLabels(pairs);
  }

  /** The series of an entry that went through the pipeline. Throws Fault pipeline_error if the entry has an error that must not be counted. */
  of(row: Row): number {
    if (row.error !== '' && row.label(PRESERVE_ERROR) !== 'true') throw this.#pipelineError(row);
    if (this.#keep.kind === 'by') return this.#ofKey(row, this.#keep.names);
    const set = row.labelSet();
    let series = this.#bySet.get(set);
    if (series === undefined) {
      const labels = keepLabels(set.all, this.#keep);
      // A field of the line's may be called like the error label.
      if (labelValue(labels, ERROR) !== '' && row.label(PRESERVE_ERROR) !== 'true') throw this.#pipelineError(row);
      series = this.#numberOf(this.#keep.kind === 'all' ? set.text : formatLabels(labels));
      this.#bySet.set(set, series);
    }
    return series;
  }

  #pipelineError(row: Row): Fault {
    const error = labelValue(row.labelSet().all, ERROR) || row.error;
    const series = this.#keep.kind === 'by' ? formatLabels(row.everyLabel()) : row.labelSet().text;
    return new Fault(
      'pipeline_error',
      `pipeline error: '${error}' for series: '${series}'.\n` +
        `Use a label filter to intentionally skip this error. (e.g | __error__!="${error}").\n` +
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
        'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
    );
  }

  #ofKey(row: Row, names: readonly string[]): number {
    const key = keyOf(row, names);
    let series = this.#byKey.get(key);
    if (series === undefined) {
      series = this.#numberOf(names.length === 0 ? NO_LABELS : formatLabels(keepLabels(row.labelSet().all, this.#keep)));
      if (this.#byKey.size >= MOST_KEYS) this.#byKey.clear();
      this.#byKey.set(key, series);
    }
    return series;
  }
}

/** Differs for values that differ, and for a label that is empty and one that is not there. */
function keyOf(row: Row, names: readonly string[]): string | undefined {
  if (names.length === 1) return row.grouped(names[0]);
  let key = '';
  for (const name of names) {
    const value = row.grouped(name);
    key += value === undefined ? '\0' : `${value.length}\0${value}`;
  }
  return key;
}

function tableOf(size: number) {
  const table: (number | undefined)[] = new Array(size);
  return {
    get: (code: number) => table[code],
    set: (code: number, series: number) => {
      table[code] = series;
    },
  };
}
