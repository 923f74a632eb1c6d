import { assign, fromPromise, setup } from 'xstate';

export type MemberEvent =
  /** Heartbeats have not landed for a while, or land again. */
  | { type: 'HEARTBEATS_LOST' }
  | { type: 'HEARTBEATS_LAND' }
  /** Its key or its tokens are gone: somebody made the others forget it. */
  | { type: 'FORGOTTEN' }
  /** It is to leave for good. */
  | { type: 'DRAIN' }
  /** The process ends; the instance will be back. */
  | { type: 'STOP' }
  /** Another process is this instance now. */
  | { type: 'REPLACED' };

export interface MemberContext {
  /** Why the last thing that failed did. */
  readonly error: unknown;
}

const unprovided = (): never => {
  throw new Error('the member provides this');
};

/** An instance's way through a ring, as it sees itself; what the others make of its silence is theirs (`Ring`). Effects: memberLifecycle.provide({ actors }), which take the time that they
 *  take: the machine has no clock.
 *
 *  PENDING: has no tokens yet, or some of the others may not have heard of it. JOINING: takes what is new, and gets what it has to have before it counts. ACTIVE. UNHEALTHY: cannot tell the others that it is there. LEAVING: hands
 *  over, or else flushes. LEFT, STOPPED and REPLACED are ends. */
export const memberLifecycle = setup({
  types: { context: {} as MemberContext, events: {} as MemberEvent },
  actors: {
    /** Resolves once tokens are its own, in the store too. */
    claimTokens: fromPromise<void>(unprovided),
    /** Resolves once all who are there have heard of it: what it takes before that, some might not look for here. */
    introduce: fromPromise<void>(unprovided),
    /** Resolves once it has what an active instance has. */
    catchUp: fromPromise<void>(unprovided),
    /** Resolves once another instance has its heads and its tokens; rejects if nobody takes them. */
    handOver: fromPromise<void>(unprovided),
    /** Resolves once all that it has is in object storage, however long that takes. */
    flush: fromPromise<void>(unprovided),
    /** Resolves once nobody in the ring knows of it any more. */
    leave: fromPromise<void>(unprovided),
    /** Resolves once the others were told that it is away, or cannot be. */
    sayStopped: fromPromise<void>(unprovided),
  },
  actions: {
    noteError: assign((_, { error }: { error: unknown }) => ({ error })),
  },
}).createMachine({
  id: 'member',
  initial: 'PENDING',
  context: { error: undefined },
  on: { STOP: '.STOPPING', REPLACED: '.REPLACED' },
  states: {
    PENDING: {
      initial: 'claiming',
      states: {
        claiming: { invoke: { src: 'claimTokens', onDone: 'introducing', onError: failed('claiming') } },
        introducing: { invoke: { src: 'introduce', onDone: '#member.JOINING', onError: failed('introducing') } },
      },
      on: { DRAIN: 'LEAVING', FORGOTTEN: { target: 'PENDING', reenter: true } },
    },
    JOINING: {
      invoke: { src: 'catchUp', onDone: 'ACTIVE', onError: failed('#member.PENDING') },
      on: { DRAIN: 'LEAVING', FORGOTTEN: 'PENDING' },
    },
    ACTIVE: { on: { HEARTBEATS_LOST: 'UNHEALTHY', DRAIN: 'LEAVING', FORGOTTEN: 'PENDING' } },
    UNHEALTHY: { on: { HEARTBEATS_LAND: 'ACTIVE', DRAIN: 'LEAVING', FORGOTTEN: 'PENDING' } },
    LEAVING: {
      initial: 'handing-over',
      states: {
        'handing-over': {
          invoke: {
            src: 'handOver',
            onDone: 'going',
            onError: { target: 'flushing', actions: { type: 'noteError', params: ({ event }) => ({ error: event.error }) } },
          },
        },
        flushing: { invoke: { src: 'flush', onDone: 'going', onError: failed('flushing') } },
        going: { invoke: { src: 'leave', onDone: '#member.LEFT', onError: failed('going') } },
      },
    },
    STOPPING: { invoke: { src: 'sayStopped', onDone: 'STOPPED', onError: 'STOPPED' }, on: { STOP: undefined } },
    LEFT: { type: 'final' },
    STOPPED: { type: 'final' },
    REPLACED: { type: 'final' },
  },
});

/** Once more: effects wait between their own tries. */
function failed<T extends string>(target: T) {
  return {
    target,
    reenter: true,
    actions: { type: 'noteError' as const, params: ({ event }: { event: { error: unknown } }) => ({ error: event.error }) },
  };
}
