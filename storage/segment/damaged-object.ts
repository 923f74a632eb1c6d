import { Fault } from '../../ops/base/fault.ts';

/** An object that cannot be merged as it is. */
export class DamagedObject extends Fault {
  readonly key: string;

  constructor(key: string, cause: Fault) {
    super(cause.code, cause.message.includes(key) ? cause.message : `object ${key}: ${cause.message}`, { cause });
    this.key = key;
  }
}

/** The error, with the object's name if it says that what is stored is damaged. */
export function namingObject(key: string, error: unknown): unknown {
  return isDamage(error) ? new DamagedObject(key, error) : error;
}

function isDamage(error: unknown): error is Fault {
  return error instanceof Fault && !(error instanceof DamagedObject) && (error.code === 'corrupt' || error.code === 'unsupported');
}
