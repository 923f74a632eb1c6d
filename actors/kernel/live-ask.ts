import type { Fault } from '../../ops/base/fault.ts';
import type { Message, RequestContext } from '../../topology/transport/transport.ts';
import type { AskContext } from './define.ts';

/** What a handler is given beside its ask. */
export class LiveAsk implements AskContext {
  readonly tenant: string;
  readonly deadlineMs: number;
  readonly trace: string;
  readonly #request: RequestContext;
  #controller: AbortController | undefined;
  #over: Fault | undefined;

  constructor({ tenant, trace }: Message, request: RequestContext) {
    this.tenant = tenant;
    this.trace = trace;
    this.deadlineMs = request.deadlineMs;
    this.#request = request;
  }

  /** Made when first asked for: most handlers never look. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = new AbortController();
      const caller = this.#request.signal;
      this.#controller = controller;
      if (this.#over !== undefined || caller.aborted) controller.abort(this.#over ?? caller.reason);
      else caller.addEventListener('abort', () => controller.abort(caller.reason), { once: true });
    }
    return this.#controller.signal;
  }

  /** Why the caller left, if it did. */
  get callerLeft(): Fault | undefined {
    return this.#request.over;
  }

  transferReply(): void {
    this.#request.transferReply();
  }

  /** The incarnation ends. */
  abort(reason: Fault): void {
    this.#over = reason;
    this.#controller?.abort(reason);
  }
}
