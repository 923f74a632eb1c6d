/** What can go wrong, by code: clients match on `code`, HTTP on `status`, and `retry` says whether the same request may succeed later. */
export const FAULTS = {
  bad_request: { status: 400, retry: false },
  parse_error: { status: 400, retry: false },
  pipeline_error: { status: 400, retry: false },
  limit_exceeded: { status: 400, retry: false },
  unauthorized: { status: 401, retry: false },
  denied: { status: 403, retry: false },
  not_found: { status: 404, retry: false },
  method_not_allowed: { status: 405, retry: false },
  exists: { status: 409, retry: false },
  too_large: { status: 413, retry: false },
  no_valid_stream: { status: 422, retry: false },
  rate_limited: { status: 429, retry: true },
  mailbox_full: { status: 429, retry: true },
  cancelled: { status: 499, retry: false },
  internal: { status: 500, retry: false },
  corrupt: { status: 500, retry: false },
  unsupported: { status: 501, retry: false },
  stale_incarnation: { status: 503, retry: true },
  unavailable: { status: 503, retry: true },
  /** As busy as it may be: somebody else would only be made as busy. */
  overloaded: { status: 503, retry: true },
  disk_full: { status: 503, retry: true },
  in_doubt: { status: 503, retry: true },
  deadline: { status: 504, retry: true },
} as const satisfies Record<string, { status: number; retry: boolean }>;

export type FaultCode = keyof typeof FAULTS;

/** How a fault travels: plain data, revived by {@link faultFromWire}. */
export interface WireFault {
  code: FaultCode;
  message: string;
  retryAfterS?: number;
}

export interface FaultOptions extends ErrorOptions {
  /** Seconds after which a retry may succeed; becomes the Retry-After header. */
  retryAfterS?: number;
}

/** An error with a code. The message is lower case, without a full stop, and names the limit and the value. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly retryAfterS: number | undefined;
  constructor(code: FaultCode, message: string, options?: FaultOptions) {
    super(message, options);
    this.code = code;
    this.retryAfterS = options?.retryAfterS;
  }
  get status(): number {
    return FAULTS[this.code].status;
  }
  get retry(): boolean {
    return FAULTS[this.code].retry;
  }
  toWire(): WireFault {
    return { code: this.code, message: this.message, ...(this.retryAfterS === undefined ? {} : { retryAfterS: this.retryAfterS }) };
  }
}

export function faultFromWire(wire: WireFault): Fault {
  return new Fault(
    wire.code in FAULTS ? wire.code : 'internal',
    wire.message,
    wire.retryAfterS === undefined ? {} : { retryAfterS: wire.retryAfterS },
  );
}

/** The fault that `error` is, or an `internal` one around it. */
export function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault('internal', error instanceof Error ? error.message : String(error), { cause: error });
}
