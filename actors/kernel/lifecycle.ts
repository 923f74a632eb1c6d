import { assign, fromPromise, setup } from 'xstate';
import type { World } from '../../ops/base/world.ts';
import type { RestartPolicy, StopReason } from './define.ts';

/** How an incarnation is to end. */
export interface StopOrder {
  readonly reason: StopReason;
  /** Monotonic milliseconds up to which asks that are being handled may take to end. */
  readonly drainUntilMs: number;
}

export type LifecycleState = 'starting' | 'running' | 'backing-off' | 'stopping' | 'stopped' | 'failed';

/** `FAIL`: the actor reported a failure. `YIELD`: an actor that it builds on is restarting, so it restarts too. `STOP`: for good. */
export type LifecycleEvent = { type: 'FAIL'; error: unknown } | { type: 'YIELD' } | { type: 'STOP'; order: StopOrder };

export interface LifecycleContext {
  readonly policy: RestartPolicy;
  readonly world: World;
  /** Monotonic milliseconds of the failures within the policy's window. */
  readonly failures: readonly number[];
  readonly backoffMs: number;
  /** Of the last failure. */
  readonly error: unknown;
  readonly order: StopOrder | undefined;
}

const RESTART: StopOrder = { reason: 'restart', drainUntilMs: 0 };

const unprovided = (): never => {
  throw new Error('the supervisor provides this');
};

/** An actor's life under supervision. Every incarnation ends in `stopping`, also one that failed to start: what it holds is let go before anything follows.
 *  Effects: lifecycle.provide({ actors }). Time comes from the effects only, never from the machine's own clock. */
export const lifecycle = setup({
  types: {
    context: {} as LifecycleContext,
    input: {} as { policy: RestartPolicy; world: World },
    events: {} as LifecycleEvent,
  },
  actors: {
    start: fromPromise<void>(unprovided),
    /** Resolves once the incarnation is over and its fenced calls have settled; rejects when that takes too long. */
    stop: fromPromise<void, StopOrder>(unprovided),
    /** Resolves when it is time to start again. */
    backOff: fromPromise<void, number>(unprovided),
  },
  actions: {
    noteFailure: assign(({ context: { policy, world, failures } }, { error }: { error: unknown }) => {
      const nowMs = world.clock.monotonicMs();
      const recent = [...failures.filter((atMs) => atMs > nowMs - policy.withinMs), nowMs];
      const { min, max } = policy.backoffMs;
      const fullMs = Math.min(max, min * 2 ** (recent.length - 1));
      // Between half of it and all of it, so that actors that failed together do not start together.
      return { failures: recent, error, backoffMs: fullMs * (0.5 + world.random.next() / 2) };
    }),
    noteYield: assign({ backoffMs: 0 }),
    noteOrder: assign((_, { order }: { order: StopOrder }) => ({ order })),
    noteError: assign((_, { error }: { error: unknown }) => ({ error })),
  },
  guards: {
    isToldToStop: ({ context }) => context.order !== undefined,
    hasFailedTooOften: ({ context }) => context.failures.length > context.policy.max,
  },
}).createMachine({
  id: 'actor',
  initial: 'starting',
  context: ({ input }) => ({ ...input, failures: [], backoffMs: 0, error: undefined, order: undefined }),
  states: {
    starting: {
      invoke: {
        src: 'start',
        onDone: 'running',
        onError: { target: 'stopping', actions: { type: 'noteFailure', params: ({ event }) => ({ error: event.error }) } },
      },
      on: {
        FAIL: { target: 'stopping', actions: { type: 'noteFailure', params: ({ event }) => ({ error: event.error }) } },
        YIELD: { target: 'stopping', actions: 'noteYield' },
        STOP: { target: 'stopping', actions: { type: 'noteOrder', params: ({ event }) => ({ order: event.order }) } },
      },
    },
    running: {
      on: {
        FAIL: { target: 'stopping', actions: { type: 'noteFailure', params: ({ event }) => ({ error: event.error }) } },
        YIELD: { target: 'stopping', actions: 'noteYield' },
        STOP: { target: 'stopping', actions: { type: 'noteOrder', params: ({ event }) => ({ order: event.order }) } },
      },
    },
    stopping: {
      invoke: {
        src: 'stop',
        input: ({ context }) => context.order ?? RESTART,
        onDone: [{ guard: 'isToldToStop', target: 'stopped' }, { guard: 'hasFailedTooOften', target: 'failed' }, { target: 'backing-off' }],
        onError: { target: 'failed', actions: { type: 'noteError', params: ({ event }) => ({ error: event.error }) } },
      },
      on: { STOP: { actions: { type: 'noteOrder', params: ({ event }) => ({ order: event.order }) } } },
    },
    'backing-off': {
      invoke: { src: 'backOff', input: ({ context }) => context.backoffMs, onDone: 'starting' },
      on: { STOP: { target: 'stopped', actions: { type: 'noteOrder', params: ({ event }) => ({ order: event.order }) } } },
    },
    stopped: { type: 'final' },
    failed: { type: 'final' },
  },
});
