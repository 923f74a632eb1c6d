/** Stands for the empty text; no other gives it. */
const EMPTY = '%';

/** A text as one token of a subject: what a token must not have is percent-encoded, so that no instance, tenant or cluster reaches beyond its own subjects. Source:
 *  docs.nats.io, subject-based messaging. */
export function subjectToken(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/[.*]/g, (character) => (character === '.' ? '%2E' : '%2A')) || EMPTY;
}

/** The text of a token; undefined if it is not one that `subjectToken` made. */
export function tokenText(token: string): string | undefined {
  try {
    const text = token === EMPTY ? '' : decodeURIComponent(token);
    return subjectToken(text) === token ? text : undefined;
  } catch {
    return undefined;
  }
}

/** The subjects of one cluster's actors. */
export class ClusterSubjects {
  readonly #base: string;

  constructor(cluster: string) {
    this.#base = `millrace.${subjectToken(cluster)}`;
  }

  /** Where `component/instance` is asked; `instance` may be `any`. */
  request(address: string, kind: string): string {
    return `${this.#service(address)}.${subjectToken(kind)}`;
  }

  /** All kinds that `component/instance` is asked. */
  requests(address: string): string {
    return `${this.#service(address)}.*`;
  }

  /** Among them, of no kind: whoever hears it does nothing; that nobody does is told by the broker. */
  probe(address: string): string {
    return `${this.#service(address)}._probe`;
  }

  #service(address: string): string {
    const slash = address.indexOf('/');
    return `${this.#base}.${subjectToken(address.slice(0, slash))}.${subjectToken(address.slice(slash + 1))}`;
  }

  /** What is sent to one process in answer, or beside a request. */
  inbox(peer: string): string {
    return `${this.#base}._to.${peer}`;
  }

  /** What does not wait behind anything large. */
  control(peer: string): string {
    return `${this.#base}._control.${peer}`;
  }

  /** Where the broker tells `me` that nobody heard what was sent to the control subject of a peer; with `*` for it, all of them. */
  unheard(me: string, peer: string): string {
    return `${this.control(me)}.unheard.${peer}`;
  }

  published(subject: string): string {
    return `${this.#base}._published.${subjectToken(subject)}`;
  }
}
