import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { causeOf, isTooLarge, isTopicMissing, UnsentError, type WriteFailure, writeFailure } from '../../../storage/kafka/failures.ts';

const { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded } = kafkajs;

/** As a broker's answer is told of by the client. */
const answer = (type: string, code = 0): Error =>
  Object.assign(new Error(`broker says ${type}`), { name: 'KafkaJSProtocolError', type, code });
const named = (name: string): Error => Object.assign(new Error(name), { name });
const connection = (code?: string): Error => new KafkaJSConnectionError('no connection', code === undefined ? {} : { code });
/** As the client wraps what it has given up. */
const tried = (error: Error): Error => new KafkaJSNumberOfRetriesExceeded(error, { retryCount: 0, retryTime: 300 });

const brokerAnswers: Record<WriteFailure, string[]> = {
  refused: [
    'MESSAGE_TOO_LARGE',
    'RECORD_LIST_TOO_LARGE',
    'INVALID_TOPIC_EXCEPTION',
    'TOPIC_AUTHORIZATION_FAILED',
    'CLUSTER_AUTHORIZATION_FAILED',
    'INVALID_RECORD',
    'INVALID_TIMESTAMP',
    'CORRUPT_MESSAGE',
    'POLICY_VIOLATION',
    'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  ],
  moved: ['NOT_LEADER_FOR_PARTITION', 'NOT_ENOUGH_REPLICAS', 'FENCED_LEADER_EPOCH', 'UNKNOWN_TOPIC_OR_PARTITION'],
  // Some copies have it, or it is not said whether; or it may be the answer to what the client asked after a write that was not answered.
  in_doubt: [
    'LEADER_NOT_AVAILABLE',
    'UNKNOWN_LEADER_EPOCH',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'REQUEST_TIMED_OUT',
    'NETWORK_EXCEPTION',
    'KAFKA_STORAGE_ERROR',
    'BROKER_NOT_AVAILABLE',
    'UNKNOWN',
    'KAFKAJS_UNKNOWN_ERROR_CODE',
  ],
};
for (const [failure, types] of Object.entries(brokerAnswers)) {
  for (const type of types) {
    test(`a broker that answers ${type}: ${failure}`, () => {
      assert.equal(writeFailure(answer(type, 7)), failure);
      assert.equal(writeFailure(tried(answer(type, 7))), failure);
    });
  }
}

const cases: [what: string, error: unknown, failure: WriteFailure][] = [
  ['no connection before anything was written', new UnsentError('no broker'), 'moved'],
  ['no connection, with why', new UnsentError('no broker', { cause: connection('ECONNREFUSED') }), 'moved'],
  // The client connects anew when a connection breaks under a write, and this error takes the place of that.
  ['no broker for the partition', named('KafkaJSBrokerNotFound'), 'in_doubt'],
  ['no metadata', named('KafkaJSMetadataNotLoaded'), 'in_doubt'],
  ['no metadata of the topic', named('KafkaJSTopicMetadataNotLoaded'), 'in_doubt'],
  ['no broker at all', named('KafkaJSNoBrokerAvailableError'), 'in_doubt'],
  ['a password that is wrong', named('KafkaJSSASLAuthenticationError'), 'in_doubt'],
  ['nobody listens', connection('ECONNREFUSED'), 'in_doubt'],
  ['no such host', connection('ENOTFOUND'), 'in_doubt'],
  ['no answer from DNS', connection('EAI_AGAIN'), 'in_doubt'],
  ['no way to the host', connection('EHOSTUNREACH'), 'in_doubt'],
  ['no way to the network', connection('ENETUNREACH'), 'in_doubt'],
  ['a connection that was reset', connection('ECONNRESET'), 'in_doubt'],
  ['a pipe that broke', connection('EPIPE'), 'in_doubt'],
  ['a connection that was silent', connection('ETIMEDOUT'), 'in_doubt'],
  ['a connection that is not there any more', connection(), 'in_doubt'],
  ['a connection that was closed', named('KafkaJSConnectionClosedError'), 'in_doubt'],
  ['a request that was not answered', named('KafkaJSRequestTimeoutError'), 'in_doubt'],
  ['any other error', new TypeError('undefined is not a function'), 'in_doubt'],
  ['no error', 'text', 'in_doubt'],
  ['a type that is a code’s', answer('ECONNREFUSED'), 'in_doubt'],
  ['a type that is a name', answer('KafkaJSBrokerNotFound'), 'in_doubt'],
  ['no more tries, nobody listens', tried(connection('ECONNREFUSED')), 'in_doubt'],
  ['no more tries, a reset', tried(connection('ECONNRESET')), 'in_doubt'],
  ['several covers', new Error('outer', { cause: tried(tried(answer('MESSAGE_TOO_LARGE'))) }), 'refused'],
  [
    'what is inside counts, not the cover',
    Object.assign(new Error('outer', { cause: new Error('inner') }), answer('MESSAGE_TOO_LARGE')),
    'in_doubt',
  ],
  ['a cause that is no error is none', Object.assign(answer('MESSAGE_TOO_LARGE'), { cause: 'because' }), 'refused'],
];
for (const [what, error, failure] of cases) {
  test(`${what}: ${failure}`, () => assert.equal(writeFailure(error), failure));
}

test('the cause is the error inside all others', () => {
  const inner = answer('LEADER_NOT_AVAILABLE');
  for (const error of [inner, tried(inner), new Error('outer', { cause: tried(inner) })]) assert.equal(causeOf(error), inner);
});

test('a topic is missing where a broker says so', () => {
  const missing = answer('UNKNOWN_TOPIC_OR_PARTITION');
  assert.deepEqual([missing, tried(missing), answer('LEADER_NOT_AVAILABLE'), connection('ENOTFOUND')].map(isTopicMissing), [
    true,
    true,
    false,
    false,
  ]);
});

test('what is too large is told from what is refused otherwise', () => {
  for (const type of brokerAnswers.refused) assert.equal(isTooLarge(tried(answer(type))), type.endsWith('TOO_LARGE'), type);
  assert.equal(isTooLarge(connection()), false);
});
