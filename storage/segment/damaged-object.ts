import { Fault } from '../../ops/base/fault.ts';
import { givenUpKey } from './keys.ts';

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
  return isOfObject(error) && !(error instanceof DamagedObject) ? new DamagedObject(key, error) : error;
}

/** Whether the error of a read says that this object cannot be read, be it for now or for ever: neither that it is gone, nor that the reader is to stop. */
export function isOfObject(error: unknown): error is Fault {
  return error instanceof Fault && error.code !== 'not_found' && error.code !== 'stale_incarnation';
}

/** What an operator can do about an object that cannot be read. */
export function wayOn(key: string): string {
  return `put it back as it was, or give up what only it holds: rename its file to ${givenUpKey(key)}, and never delete it`;
}

/** The error of reading the object's footer, with what can be done if the object is damaged: nobody knows what it holds, so no answer can be given that may lack
 *  some of it. */
export function withWayOn(key: string, error: unknown): unknown {
  if (!(error instanceof Fault) || error.code !== 'corrupt') return error;
  return new Fault('corrupt', `${error.message}; ${wayOn(key)}`, { cause: error });
}
