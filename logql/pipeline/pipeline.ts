import type { Block, Label, Labels } from '../model.ts';

/** The observed labels of an entry after the pipeline, and its error labels. Interned by the pipeline: sets of equal labels from equal origins are mostly the
 *  same object, so what is made for one may be kept by its identity. Unlike elsewhere a value may be '': a label that was extracted or set as such. */
export interface LabelSet {
  /** Canonical text of `all`: {a="x", b="y"}. */
  readonly text: string;
  /** stream, structuredMetadata and parsed together, sorted by name. */
  readonly all: Labels;
  readonly stream: Labels;
  readonly structuredMetadata: Labels;
  readonly parsed: Labels;
}

/** What of an entry's labels anybody looks at after the pipeline: everything, or only these names. Extraction may skip the rest
 *  where it cannot change what is kept or whether the entry has an error. */
export type Observed = 'all' | ReadonlySet<string>;

/** The stages of a query, compiled once and bound to each stream. */
export interface Pipeline {
  /** No stage at all: every row passes with its line, the stream's labels and its metadata. */
  readonly empty: boolean;
  /** Only stages that work on columns (line filters in front of anything that changes lines or labels): `select` does it all, and a surviving row
   *  keeps its line, the stream's labels and its metadata. */
  readonly columnsOnly: boolean;
  /** Texts that every line which can pass contains, as it is stored; for skip filters. */
  readonly required: readonly string[];
  /** Labels that every entry which can pass has before the first stage; for skip filters. Values are not ''. */
  readonly requiredLabels: readonly Label[];
  forStream(labels: Labels): StreamPipeline;
}

export interface StreamPipeline {
  /** Narrows rows [from, to) of `block` by the column stages: writes the row numbers that are left to `out`, ascending, returns how many.
   *  Wants out.length >= to - from. */
  select(block: Block, from: number, to: number, out: Uint32Array): number;
  /** Runs the remaining stages on one row that `select` left; undefined drops it. An unwrapped label stays among the labels. The Row is reused by the next call: keep nothing from it. */
  apply(block: Block, row: number): Row | undefined;
}

/** One entry on its way out. */
export interface Row {
  /** The line's bytes, borrowed; after line_format the formatted ones. */
  line(): Buffer;
  /** '' if absent. Metadata and stream labels included. */
  label(name: string): string;
  /** For a grouping; undefined if absent. A label that was once taken away counts as absent even if a later stage set it again, as in Loki. */
  grouped(name: string): string | undefined;
  labelSet(): LabelSet;
  /** All labels, observed or not, and the error labels. */
  everyLabel(): Labels;
  /** The unwrapped sample; NaN without unwrap. A failed conversion sets __error__ instead, so look at `error` first. */
  readonly sample: number;
  /** The value of __error__, '' without. */
  readonly error: string;
  readonly errorDetails: string;
}
