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
  observe: { actors: ActorState[] };
  log_level: Record<string, never>;
};
export const threadProtocol = protocol<ThreadAsk, ThreadReply>('thread');
