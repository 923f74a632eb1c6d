import { Fault } from '../../ops/base/fault.ts';
import type { Clock } from '../../ops/base/world.ts';
import { isStream } from '../../topology/transport/call.ts';
import type { MailboxPolicy } from './define.ts';
import { HeldStream } from './held-stream.ts';
import type { LiveAsk } from './live-ask.ts';

const SWEEP_MS = 1;

/** An ask on its way to a handler. */
export interface Letter {
  readonly kind: string;
  readonly ask: LiveAsk;
  /** What it holds in memory. */
  readonly bytes: number;
  handle(): Promise<unknown> | AsyncIterable<unknown>;
}

export interface MailboxObserver {
  refused(): void;
  /** `error`: what the handler threw. */
  handled(kind: string, ms: number, error?: unknown): void;
}

/** A letter that was taken in: waiting (then linked to its neighbours), or being handled. */
interface Entry {
  readonly letter: Letter;
  readonly control: boolean;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  startedMs: number;
  stream: HeldStream | undefined;
  previous: Entry | undefined;
  next: Entry | undefined;
}

/** The asks of one incarnation, bounded in number and bytes. Asks whose caller left or whose deadline passed make room before anyone is refused. */
export class Mailbox {
  readonly #policy: MailboxPolicy;
  readonly #clock: Clock;
  readonly #observer: MailboxObserver;
  readonly #control: ReadonlySet<string>;
  readonly #endless: ReadonlySet<string>;
  readonly #handling = new Set<Entry>();
  #first: Entry | undefined;
  #last: Entry | undefined;
  #waiting = 0;
  #handlingData = 0;
  /** Of endless kinds. */
  #handlingEndless = 0;
  #bytes = 0;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  /** Moving average. */
  #handledMs = 0;
  #closed: Fault | undefined;
  #idle: (() => void)[] = [];

  constructor(policy: MailboxPolicy, clock: Clock, observer: MailboxObserver) {
    this.#policy = policy;
    this.#clock = clock;
    this.#observer = observer;
    this.#control = new Set(policy.control);
    this.#endless = new Set(policy.endless);
  }

  /** Waiting or being handled. */
  get messages(): number {
    return this.#waiting + this.#handling.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The handler's answer; rejects with `mailbox_full` or `too_large` if there is no room, and with `deadline` if its turn comes too late. */
  deliver(letter: Letter): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const control = this.#control.has(letter.kind);
      const refusal = this.#closed ?? (control ? undefined : this.#refusal(letter));
      if (refusal !== undefined) return reject(refusal);
      this.#bytes += letter.bytes;
      const entry: Entry = {
        letter,
        control,
        resolve,
        reject,
        startedMs: 0,
        stream: undefined,
        previous: undefined,
        next: undefined,
      };
      if (control || this.#handlingData < this.#policy.concurrency) this.#handle(entry);
      else this.#wait(entry);
    });
  }

  /** Takes no more, and fails what is waiting. What is being handled goes on. */
  close(fault: Fault): void {
    this.#closed = fault;
    while (this.#first !== undefined) this.#drop(this.#first, fault);
  }

  /** Fails what is being handled too, and aborts its signals. What handlers still do is not waited for. */
  abandon(fault: Fault): void {
    this.close(fault);
    for (const { letter, stream, reject } of this.#handling) {
      letter.ask.abort(fault);
      stream?.fail(fault);
      reject(fault);
    }
  }

  /** Resolves once nothing is waiting or being handled that has an end of its own. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isIdle) resolve();
      else this.#idle.push(resolve);
    });
  }

  get #isIdle(): boolean {
    return this.messages === this.#handlingEndless;
  }

  #refusal({ bytes }: Letter): Fault | undefined {
    const policy = this.#policy;
    if (this.messages < policy.messages && this.#bytes + bytes <= policy.bytes) return undefined;
    if (bytes > policy.bytes) return new Fault('too_large', `message of ${bytes} bytes is over the mailbox's ${policy.bytes} bytes`);
    this.#sweep();
    if (this.messages < policy.messages && this.#bytes + bytes <= policy.bytes) return undefined;
    this.#observer.refused();
    const held = `${this.messages} of ${policy.messages} messages and ${this.#bytes} of ${policy.bytes} bytes`;
    const drainS = (this.#waiting * this.#handledMs) / policy.concurrency / 1_000;
    return new Fault('mailbox_full', `mailbox holds ${held}`, { retryAfterS: Math.min(30, Math.max(1, Math.ceil(drainS))) });
  }

  /** Drops what nobody waits for. Costs a walk over all that is waiting, so at most one in SWEEP_MS: a full mailbox may refuse thousands a second. */
  #sweep(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#sweptAtMs + SWEEP_MS) return;
    this.#sweptAtMs = nowMs;
    for (let entry = this.#first; entry !== undefined; ) {
      const { next } = entry;
      const reason = obsolete(entry.letter.ask, nowMs);
      if (reason !== undefined) this.#drop(entry, reason);
      entry = next;
    }
  }

  #wait(entry: Entry): void {
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#waiting++;
  }

  #unlink(entry: Entry): void {
    if (entry.previous === undefined) this.#first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#last = entry.previous;
    else entry.next.previous = entry.previous;
    entry.previous = undefined;
    entry.next = undefined;
    this.#waiting--;
  }

  #drop(entry: Entry, reason: Fault): void {
    this.#unlink(entry);
    this.#release(entry);
    entry.reject(reason);
  }

  #handle(entry: Entry): void {
    const { letter } = entry;
    entry.startedMs = this.#clock.monotonicMs();
    this.#handling.add(entry);
    if (!entry.control) this.#handlingData++;
    if (this.#endless.has(letter.kind)) this.#handlingEndless++;
    const answer = begin(letter);
    if (isStream(answer)) {
      entry.stream = new HeldStream(answer, (error) => this.#handled(entry, error));
      entry.resolve(entry.stream);
      return;
    }
    answer.then(
      (value) => {
        this.#handled(entry);
        entry.resolve(value);
      },
      (error) => {
        this.#handled(entry, error);
        entry.reject(error);
      },
    );
  }

  #handled(entry: Entry, error?: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    const ms = nowMs - entry.startedMs;
    this.#handling.delete(entry);
    if (this.#endless.has(entry.letter.kind)) this.#handlingEndless--;
    if (!entry.control) {
      this.#handlingData--;
      this.#handledMs += (ms - this.#handledMs) / 16;
    }
    this.#release(entry);
    this.#observer.handled(entry.letter.kind, ms, error);
    this.#takeNext(nowMs);
  }

  #takeNext(nowMs: number): void {
    while (this.#first !== undefined && this.#handlingData < this.#policy.concurrency) {
      const entry = this.#first;
      const reason = obsolete(entry.letter.ask, nowMs);
      if (reason !== undefined) this.#drop(entry, reason);
      else {
        this.#unlink(entry);
        this.#handle(entry);
      }
    }
  }

  #release(entry: Entry): void {
    this.#bytes -= entry.letter.bytes;
    if (!this.#isIdle || this.#idle.length === 0) return;
    for (const idle of this.#idle) idle();
    this.#idle = [];
  }
}

function begin(letter: Letter): Promise<unknown> | AsyncIterable<unknown> {
  try {
    return letter.handle();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Why nobody waits for the answer any more. */
function obsolete({ callerLeft, deadlineMs }: LiveAsk, nowMs: number): Fault | undefined {
  if (callerLeft !== undefined) return callerLeft;
  return deadlineMs <= nowMs ? new Fault('deadline', 'deadline passed while waiting in the mailbox') : undefined;
}
