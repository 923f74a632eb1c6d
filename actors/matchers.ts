import type { Matcher } from '../logql/model.ts';
import { compileMatcher } from '../logql/pipeline/regex.ts';
import type { CompiledMatcher } from '../storage/segment/postings.ts';

export function compileMatchers(matchers: readonly Matcher[]): CompiledMatcher[] {
  return matchers.map((matcher) => ({
    name: matcher.name,
    test: compileMatcher(matcher),
    ...(matcher.op === '=' ? { equals: matcher.value } : {}),
  }));
}
