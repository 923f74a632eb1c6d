import type { Counter, Gauge, Histogram, Instruments } from '../../ops/base/instruments.ts';

/** What the kernel counts of every actor. */
export interface KernelMetrics {
  readonly restarts: Counter;
  readonly refused: Counter;
  readonly mailboxMessages: Gauge;
  readonly mailboxBytes: Gauge;
  readonly handledSeconds: Histogram;
}

const HANDLED_SECONDS = [0.000_1, 0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60];

export function kernelMetrics(instruments: Instruments): KernelMetrics {
  const actor = ['component', 'instance'];
  return {
    restarts: instruments.counter('millrace_actor_restarts_total', 'Incarnations started after the first.', actor),
    refused: instruments.counter('millrace_actor_refused_total', 'Messages refused because the mailbox was full.', actor),
    mailboxMessages: instruments.gauge('millrace_actor_mailbox_messages', 'Messages waiting or being handled.', actor),
    mailboxBytes: instruments.gauge('millrace_actor_mailbox_bytes', 'Bytes in messages waiting or being handled.', actor),
    handledSeconds: instruments.histogram('millrace_actor_handled_seconds', 'Time spent handling a message.', HANDLED_SECONDS, [
      'component',
      'kind',
    ]),
  };
}
