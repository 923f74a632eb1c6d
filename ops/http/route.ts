import type { Fault } from '../base/fault.ts';
import type { HeldBody } from './body.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** What a route's handler is given; nothing of the server library is visible here. */
export interface HttpRequest {
  readonly method: string;
  /** Of X-Scope-OrgID, `fake` without authentication, '' on open routes; several as in AskContext. */
  readonly tenant: string;
  /** W3C traceparent. */
  readonly trace: string;
  /** Aborted when the client is gone or the server stops; the reason is a Fault. */
  readonly signal: AbortSignal;
  /** '' when absent. */
  header(name: string): string;
  /** A decoded `:name` part of the path. */
  pathParam(name: string): string;
  /** The parameters of the URL, after those of a form body, so that the body wins where one value is asked for. */
  params(): Promise<URLSearchParams>;
  /** The whole body as one Buffer that owns its ArrayBuffer. Throws Fault too_large, or rate_limited when too many bodies are in memory. */
  body(limitBytes: number): Promise<HeldBody>;
}

export interface HttpReply {
  readonly status: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Chunks are sent one after the other as the client takes them. */
  readonly body?: string | readonly Uint8Array[];
}

export interface Route {
  readonly methods: readonly Method[];
  /** `/loki/api/v1/label/:name/values` */
  readonly path: string;
  /** `tenant`: a request without a valid tenant does not get here; `tenants`: there may be several, where that is turned on. */
  readonly access: 'tenant' | 'tenants' | 'open';
  /** Throws Faults; anything else becomes an `internal` one. */
  handle(request: HttpRequest): Promise<HttpReply>;
  /** How a fault is told, where plain text is not what clients want. `trace`: W3C traceparent. */
  faultReply?(fault: Fault, trace: string, request: Pick<HttpRequest, 'header'>): HttpReply;
}

/** A connection that the server sends messages over. */
export interface MessageSocket {
  /** Resolves once the system has taken the message, or the client is gone (which the request's signal tells). To be awaited before the next. */
  send(text: Uint8Array): Promise<void>;
}

/** What goes over one websocket connection. A Fault that either function throws is told to the client as the reason of the close. */
export interface SocketSession {
  /** Resolves when the connection may be established. */
  open(): Promise<void>;
  /** Runs until the request's signal is aborted, or throws. */
  run(socket: MessageSocket): Promise<void>;
}

/** A path that speaks the websocket protocol; always with a tenant. */
export interface SocketRoute {
  readonly path: string;
  /** Reads the request; what it throws refuses it before the protocol is changed. */
  prepare(request: HttpRequest): Promise<SocketSession>;
}

export const JSON_TYPE = 'application/json; charset=UTF-8';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

/** The `route` label of a path, as Loki's dashboards expect it: `loki_api_v1_push`. */
export function routeLabel(path: string): string {
  return path === '/' ? 'root' : path.slice(1).replaceAll(':', '').replaceAll('/', '_');
}
