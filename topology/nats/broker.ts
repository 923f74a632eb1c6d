import type { Subscription } from '../transport/transport.ts';

export interface BrokerMessage {
  readonly subject: string;
  /** Borrowed: a part of what the connection read. */
  readonly payload: Uint8Array;
  /** Where an answer is to go, '' without. */
  readonly reply: string;
  /** In place of an answer: nobody subscribes to what was published. */
  readonly nobody: boolean;
}

/** A connection to a message broker, as little of it as transports need. Messages of one connection to one subscriber come in order, at most once: any may be lost. */
export interface Broker {
  /** Most bytes of a payload. */
  readonly maxPayload: number;
  /** While it is not, what is published is lost, or goes out late. */
  readonly connected: boolean;
  /** `payload` belongs to the broker from here on. With `reply`, a message that nobody gets is told of there. */
  publish(subject: string, payload: Uint8Array, reply?: string): void;
  /** `subject` may have wildcards. Of all that subscribe with the same `queue`, one gets a message. `receive` does not throw. */
  subscribe(subject: string, receive: (message: BrokerMessage) => void, queue?: string): Subscription;
  /** Runs `action` whenever the connection is lost; it comes back by itself. */
  whenLost(action: () => void): Subscription;
  /** Resolves when what was published is sent. */
  close(): Promise<void>;
}
