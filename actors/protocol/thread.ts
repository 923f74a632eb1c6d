import { protocol } from '../kernel/define.ts';

/** What the main thread asks each worker thread about itself. */
export type ThreadAsk = { kind: 'metrics' } | { kind: 'observe' } | { kind: 'log_level'; level: string };
export interface ActorState {
  readonly address: string;
  readonly state: string;
}
export type ThreadReply = {
  /** A MetricsSnapshot. */
  metrics: { snapshot: unknown };
  /** `started`: all of its actors run and reach the ingesters. */
  observe: { actors: ActorState[]; started: boolean };
  log_level: Record<string, never>;
};
export const threadProtocol = protocol<ThreadAsk, ThreadReply>('thread');
