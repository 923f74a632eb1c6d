import type { TestEvent } from 'node:test/reporters';

/** A node:test reporter of one line, `N passed, N failed`: what a script can read, whatever the main reporter prints. */
export default async function* totals(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue; // files have summaries of their own
    const { passed, tests, skipped, todo } = event.data.counts;
    yield `${passed} passed, ${tests - passed - skipped - todo} failed\n`; // a cancelled test did not pass
  }
}
