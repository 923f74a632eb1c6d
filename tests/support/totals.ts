import type { TestEvent } from 'node:test/reporters';

/** A node:test reporter: `N passed, N failed`, what a script can read whatever the main reporter prints; before it, for each thing that this machine lacks, how many tests were
 *  skipped for it. */
export default async function* totals(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const lacking = new Map<string, number>();
  for await (const event of events) {
    if (event.type === 'test:pass' && typeof event.data.skip === 'string' && event.data.skip.startsWith('lacks '))
      lacking.set(event.data.skip, (lacking.get(event.data.skip) ?? 0) + 1);
    if (event.type !== 'test:summary' || event.data.file !== undefined) continue; // files have summaries of their own
    for (const [reason, count] of lacking) yield `${count} skipped: the machine ${reason}\n`;
    const { passed, tests, skipped, todo } = event.data.counts;
    yield `${passed} passed, ${tests - passed - skipped - todo} failed\n`; // a cancelled test did not pass
  }
}
