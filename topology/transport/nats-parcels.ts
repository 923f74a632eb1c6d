import type { FaultCode } from '../../ops/base/fault.ts';
import type { Address } from './transport.ts';

/** First field of a parcel. A peer is one NatsTransport; ids number the requests, and transfers, of the peer that sends them. Deadlines travel as the time that is left. */
export const REQUEST = 0;
/** The request has come; the peer that works on it is told of here. */
export const ACCEPT = 1;
export const VALUE = 2;
/** `number`: of the item in its stream, from 1; a gap is a message that was lost. */
export const ITEM = 3;
export const END = 4;
export const FAULT = 5;
export const PUBLISH = 6;
export const ABORT = 7;
export const CREDIT = 8;
/** Which requests is the other side still waited for, and how much of each one's stream was read: messages and bytes, one after the other. */
export const PING = 9;
/** `unknown`: those among them that nothing is known of here. `sent`: of others, the id and how many items of its stream are out. What was lost before a silence is found out so. */
export const PONG = 10;
/** So many bytes of a transfer have come; GONE: they are of no use any more. */
export const RECEIVED = 11;
/** No more of a transfer will come. */
export const DROPPED = 12;

export const GONE = -1;

/** In the order in which they were sent, to a peer's inbox or a service. */
export type BulkParcel =
  | [type: typeof REQUEST, id: number, to: Address, kind: string, tenant: string, trace: string, leftMs: number, body: unknown]
  | [type: typeof ACCEPT, id: number, peer: string]
  | [type: typeof VALUE, id: number, answer: unknown]
  | [type: typeof ITEM, id: number, number: number, answer: unknown]
  | [type: typeof END, id: number, items: number]
  | [type: typeof FAULT, id: number, code: FaultCode, message: string, retryAfterS: number | null]
  | [type: typeof PUBLISH, subject: string, kind: string, tenant: string, trace: string, body: unknown];

/** Beside them. `peer` sent it. */
export type ControlParcel =
  | [type: typeof ABORT, peer: string, id: number, code: FaultCode, message: string]
  /** In all, so that the next one makes up for one that was lost. */
  | [type: typeof CREDIT, peer: string, id: number, messages: number, bytes: number]
  | [type: typeof PING, peer: string, ids: number[], read: number[]]
  | [type: typeof PONG, peer: string, unknown: number[], sent: number[]]
  | [type: typeof RECEIVED, peer: string, transfer: number, bytes: number]
  | [type: typeof DROPPED, peer: string, transfer: number];
