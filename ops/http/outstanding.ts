import { Fault } from '../base/fault.ts';

/** Queries that were asked and are not answered yet, by tenant. One query is one, however many jobs it becomes. */
export class OutstandingQueries {
  readonly #most: number;
  readonly #byTenant = new Map<string, number>();

  /** `most` of one tenant; 0: any number. */
  constructor(most: number) {
    this.#most = most;
  }

  /** A query counts for each of its tenants. Rejects with Fault rate_limited, and does not begin, if one of them has as many as it may. */
  async run<T>(tenants: readonly string[], query: () => Promise<T>): Promise<T> {
    if (this.#most > 0 && tenants.some((tenant) => this.of(tenant) >= this.#most)) {
      throw new Fault('rate_limited', 'too many outstanding requests');
    }
    for (const tenant of tenants) this.#change(tenant, 1);
    try {
      return await query();
    } finally {
      for (const tenant of tenants) this.#change(tenant, -1);
    }
  }

  of(tenant: string): number {
    return this.#byTenant.get(tenant) ?? 0;
  }

  #change(tenant: string, by: number): void {
    const count = this.of(tenant) + by;
    if (count === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, count);
  }
}
