import { Fault } from '../../ops/base/fault.ts';

/** An object that cannot be merged as it is: what it holds is wrong, or the store cannot read it though it lists it. */
export class DamagedObject extends Fault {
  readonly key: string;
  /** Whether what was read is wrong. If not, it may be read another time. */
  readonly isCertain: boolean;

  constructor(key: string, cause: Fault) {
    super(cause.code, cause.message.includes(key) ? cause.message : `object ${key}: ${cause.message}`, { cause });
    this.key = key;
    this.isCertain = cause.code === 'corrupt' || cause.code === 'unsupported';
  }
}

/** The error, with the object's name if it comes from what is stored there; that an object is gone is no damage. */
export function namingObject(key: string, error: unknown): unknown {
  const isOfObject = error instanceof Fault && !(error instanceof DamagedObject) && error.code !== 'not_found';
  return isOfObject ? new DamagedObject(key, error) : error;
}
