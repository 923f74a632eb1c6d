/** What a server said to one attempt. */
export interface Reply {
  status: number;
  /** The Retry-After header as sent. */
  retryAfter: string | null;
  text: string;
}

export interface Delivery {
  /** The last answer; never one that asks to come again. */
  reply: Reply;
  attempts: number;
}

export interface Patience {
  /** How long to go on without an answer that settles it. */
  giveUpAfterMs: number;
  /** Milliseconds since the epoch. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  sleep(ms: number): Promise<void>;
  /** Told before each wait. */
  waiting(ms: number, why: string): void;
}

const BACKOFF_MS = { min: 250, max: 15_000 };
/** Busy, unavailable, or a server in the middle that lost the answer: the same request may pass later. A repeat of what did arrive is a duplicate, which the store drops. */
const COME_AGAIN = new Set([429, 500, 502, 503, 504]);

/** Sends until the server accepts or refuses for good; waits as Retry-After says, else doubling with jitter so that many clients spread out.
 *  Throws the last failure once patience ends. */
export async function deliver(attempt: () => Promise<Reply>, patience: Patience): Promise<Delivery> {
  const started = patience.now();
  for (let attempts = 1; ; attempts++) {
    const outcome = await attempt().catch((error: unknown) => networkFailure(error));
    if (!(outcome instanceof Error) && !COME_AGAIN.has(outcome.status)) return { reply: outcome, attempts };
    const why = outcome instanceof Error ? outcome.message : `${outcome.status} ${outcome.text.trim()}`.trimEnd();
    const asked = outcome instanceof Error ? undefined : retryAfterMs(outcome.retryAfter, patience.now());
    const doubling = Math.min(BACKOFF_MS.max, BACKOFF_MS.min * 2 ** (attempts - 1));
    const waitMs = asked === undefined ? doubling * (0.5 + patience.random() / 2) : asked + BACKOFF_MS.min * patience.random();
    if (patience.now() + waitMs - started > patience.giveUpAfterMs) {
      throw new Error(`gave up after ${attempts} attempts: ${why}`, outcome instanceof Error ? { cause: outcome } : {});
    }
    patience.waiting(waitMs, why);
    await patience.sleep(waitMs);
  }
}

/** fetch wraps what happened; only network trouble is worth another attempt. */
export function networkFailure(error: unknown): Error {
  if (!(error instanceof TypeError)) throw error;
  const { cause } = error;
  if (cause instanceof AggregateError && cause.errors.length > 0) return new Error(String(cause.errors[0].message), { cause });
  return new Error(cause instanceof Error ? cause.message : error.message, { cause });
}

/** Retry-After in milliseconds: seconds or an HTTP date. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+(\.\d+)?$/.test(header.trim())) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
