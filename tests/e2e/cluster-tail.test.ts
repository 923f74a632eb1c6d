import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { numbers } from '../support/checks.ts';
import { nowNs, type PushStream, push } from '../support/client.ts';
import { withoutNats } from '../support/nats.ts';
import { RoleCluster } from '../support/role-cluster.ts';
import { TailClient } from '../support/tail-client.ts';

const APPS = numbers(6).map((number) => `app-${number}`);
const RETRY_MS = 50;
const PAUSE_MS = 10;
/** Pushes before the ingester is killed, and after it is back: enough for the tail to have noticed, and to hear it again. */
const BEFORE = 30;
const AFTER = 200;

/** Pushes an entry of each stream again and again, each until it is acknowledged, and says what was. */
class Pushes {
  readonly acknowledged: string[] = [];
  readonly #url: string;
  readonly #name: string;
  readonly #running: Promise<void>;
  #stopped = false;

  /** `name`: begins every line. */
  constructor(url: string, name: string) {
    this.#url = url;
    this.#name = name;
    this.#running = this.#run();
    this.#running.catch(() => {}); // stop() tells it
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Resolves once so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const enough = this.acknowledged.length + count * APPS.length;
    while (this.acknowledged.length < enough) await Promise.race([sleep(PAUSE_MS), this.#running]);
  }

  async #run(): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const streams = APPS.map((app): PushStream => ({ stream: { app }, values: [[String(nowNs()), `${this.#name} ${number} ${app}`]] }));
      for (;;) {
        const answer = await push(this.#url, streams).catch(() => undefined);
        if (answer?.status === 204) break;
        assert.ok(answer === undefined || answer.status === 429 || answer.status >= 500, answer?.text);
        await sleep(RETRY_MS);
      }
      this.acknowledged.push(...streams.map(({ values: [[, line]] }) => line));
      await sleep(PAUSE_MS);
    }
  }
}

test('a tail of a cluster shows each acknowledged entry once while an ingester is killed and started again', {
  skip: withoutNats,
  timeout: 120_000,
}, async (context) => {
  await using cluster = await RoleCluster.start({ counts: { distributor: 1, querier: 2, compactor: 0 } });
  const [gateway] = cluster.urls;
  const tail = await TailClient.open(gateway, '{app=~"app-.+"}');
  const pushes = new Pushes(gateway, 'meanwhile');
  await pushes.more(BEFORE);
  const [, ingester] = cluster.of('ingester');
  await cluster.kill(ingester);
  await pushes.more(AFTER);
  await pushes.stop();
  // What comes late, or twice, comes before these.
  const last = new Pushes(gateway, 'last');
  await last.more(1);
  await last.stop();
  const expected = [...pushes.acknowledged, ...last.acknowledged];
  await tail.until(() => new Set(tail.lines).size >= expected.length);
  context.diagnostic(`${expected.length} entries`);
  assert.deepEqual(tail.lines.toSorted(), expected.toSorted());
  tail.socket.close(1000);
  assert.equal((await tail.closed)[0], 1000);
});
