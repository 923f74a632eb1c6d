import type { Fault, FaultCode } from '../base/fault.ts';
import { type HttpReply, TEXT_TYPE } from './route.ts';

/** Faults whose message is about our insides: the client gets this instead and a trace id, under which the log has the rest.
 *  Messages of all other codes are written for clients. */
const HIDDEN: Partial<Record<FaultCode, string>> = {
  internal: 'internal error',
  corrupt: 'stored data is damaged',
  stale_incarnation: 'the service is restarting',
};

const DEFAULT_RETRY_AFTER_S = 1;

export function isHidden(fault: Fault): boolean {
  return fault.code in HIDDEN;
}

/** What a client is told of `fault`. `trace`: W3C traceparent. */
export function faultText(fault: Fault, trace: string): string {
  const hidden = HIDDEN[fault.code];
  return hidden === undefined ? fault.message.trimEnd() : `${hidden}, trace id ${trace.split('-')[1]}`;
}

/** Plain text, as Loki's errors are. `trace`: W3C traceparent. */
export function faultReply(fault: Fault, trace: string): HttpReply {
  const retryAfterS = fault.retryAfterS ?? (fault.retry ? DEFAULT_RETRY_AFTER_S : undefined);
  return {
    status: fault.status,
    type: TEXT_TYPE,
    body: faultText(fault, trace),
    headers: {
      'x-content-type-options': 'nosniff',
      ...(retryAfterS === undefined ? {} : { 'retry-after': String(Math.max(1, Math.ceil(retryAfterS))) }),
    },
  };
}
