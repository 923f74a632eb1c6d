/** What an error of the client means for a record that was to be written: `refused`: it is not in the log, and never will be; `moved`: another try may find it a place; `in_doubt`: nobody
 *  knows. A leader that is replaced while copies are awaited says that it has moved of what it has written too: then it comes to be in the log twice, and counts once. */
export type WriteFailure = 'refused' | 'moved' | 'in_doubt';

const TOO_LARGE: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
/** As brokers call them, where they say so before they write anything. */
const REFUSED: ReadonlySet<string> = new Set([
  ...TOO_LARGE,
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'CORRUPT_MESSAGE',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
]);
/** What only an answer to a write says. Others look alike, but may be of what the client does after a write that was not answered, and have taken that error's place. Brokers say of a topic that was just made that there
 *  is none; if it is that the client has found none after a write, that went with the topic. */
const MOVED: ReadonlySet<string> = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_TOPIC_OR_PARTITION',
]);

/** Nothing was written: there was no connection yet. */
export class UnsentError extends Error {
  override readonly name = 'UnsentError';
}

interface ClientError {
  readonly type?: string;
  readonly cause?: unknown;
}

/** The error that the client has wrapped, with how often it tried. */
export function causeOf(error: unknown): Error & ClientError {
  const { cause } = error as ClientError;
  return cause instanceof Error ? causeOf(cause) : (error as Error & ClientError);
}

export function writeFailure(error: unknown): WriteFailure {
  if (error instanceof UnsentError) return 'moved';
  const { type = '' } = causeOf(error);
  if (REFUSED.has(type)) return 'refused';
  return MOVED.has(type) ? 'moved' : 'in_doubt';
}

/** Whether it is what a broker says of a topic, and not that there is none that answers as it should. */
export function isAnswer(error: unknown): boolean {
  return isTopicMissing(error) || causeOf(error).type === 'LEADER_NOT_AVAILABLE';
}

/** Whether brokers say that there is no such topic. */
export function isTopicMissing(error: unknown): boolean {
  return causeOf(error).type === 'UNKNOWN_TOPIC_OR_PARTITION';
}

/** Whether brokers say that it is too much at once: of fewer records, or of less of one, nothing of the kind may be said. */
export function isTooLarge(error: unknown): boolean {
  return TOO_LARGE.has(causeOf(error).type ?? '');
}
