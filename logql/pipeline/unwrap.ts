import type { Unwrap } from '../syntax/ast.ts';
import { ConversionError, parseGoDuration, parseGoFloat, parseHumanBytes } from './go-parse.ts';
import type { LabelState } from './label-state.ts';

const CONVERSIONS: Readonly<Record<NonNullable<Unwrap['conversion']> | 'none', (text: string) => number>> = {
  none: parseGoFloat,
  bytes: parseHumanBytes,
  duration: (text) => parseGoDuration(text) / 1e9,
  duration_seconds: (text) => parseGoDuration(text) / 1e9,
};

/** Takes the sample out of a label. An entry without the label is dropped; one whose label is no number gets an error. */
export function compileUnwrap({ label, conversion }: Unwrap): (state: LabelState) => boolean {
  const convert = CONVERSIONS[conversion ?? 'none'];
  return (state) => {
    const text = state.get(label) ?? '';
    if (text === '') return false;
    try {
      state.sample = convert(text) + 0; // A zero below zero loses its sign.
    } catch (error) {
      if (!(error instanceof ConversionError)) throw error;
      state.fail('SampleExtractionErr', error.message);
    }
    return true;
  };
}
