import { Fault, type FaultCode } from '../../ops/base/fault.ts';

/** For assert.rejects and assert.throws. */
export const isFault =
  (code: FaultCode) =>
  (error: unknown): boolean =>
    error instanceof Fault && error.code === code;

/** 0, 1, … count - 1. */
export const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);
