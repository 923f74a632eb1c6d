import type { Kv } from '../../topology/ring/kv.ts';
import { removeInstance } from '../../topology/ring/member.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { Fault } from '../base/fault.ts';
import { type HttpReply, JSON_TYPE, type Route } from './route.ts';

export interface RingRoutesDeps {
  readonly ring: Ring;
  readonly kv: Kv;
  /** The instance that this process is. */
  readonly own: {
    readonly id: string;
    /** Begins to leave the ring for good. */
    drain(): void;
  };
}

const HTML_TYPE = 'text/html; charset=utf-8';

/** `GET /ring`: a page for people, JSON on request. `POST /ring` with `forget=ID` makes everybody forget an instance that will not come back; with `drain=ID`, to that instance itself, it leaves for
 *  good: what it has goes to others, or into object storage. */
export function ringRoutes(deps: RingRoutesDeps): Route[] {
  return [
    {
      methods: ['GET', 'POST'],
      path: '/ring',
      access: 'open',
      async handle(request) {
        if (request.method === 'POST') return order(deps, await request.params());
        const isJson = request.header('accept').includes('json');
        return isJson
          ? { status: 200, type: JSON_TYPE, body: JSON.stringify(shown(deps.ring)) }
          : { status: 200, type: HTML_TYPE, body: page(deps) };
      },
    },
  ];
}

async function order(deps: RingRoutesDeps, params: URLSearchParams): Promise<HttpReply> {
  const [forgotten, drained] = [params.get('forget'), params.get('drain')];
  if (drained) drain(deps, drained);
  else if (forgotten) await forget(deps, forgotten);
  else throw new Fault('bad_request', 'forget=ID or drain=ID says which instance is meant');
  return { status: 302, headers: { location: '/ring' }, body: '' };
}

async function forget({ ring, kv }: RingRoutesDeps, id: string): Promise<void> {
  if (ring.find(id)?.isAlive) throw new Fault('bad_request', `instance ${id} is alive, and would only come back`);
  await removeInstance(kv, id);
}

function drain({ ring, own }: RingRoutesDeps, id: string): void {
  if (id === own.id) {
    own.drain();
    return;
  }
  const url = ring.find(id)?.instance.url;
  const place = url ? `, at ${url}/ring` : '';
  throw new Fault(
    'bad_request',
    `this process is ${own.id}: an instance is drained by itself, post drain=${id} to the process that is ${id}${place}`,
  );
}

interface ShownInstance {
  readonly id: string;
  readonly state: string;
  readonly zone: string;
  readonly url: string;
  readonly shards: number;
  readonly tokens: number;
  readonly registered: string;
  /** Since its last heartbeat. */
  readonly silent_s: number;
}

function shown(ring: Ring): { ring: string; instances: ShownInstance[] } {
  const instances = ring.instances().map(({ instance: { id, state, zone, url, shards, registeredMs }, isAlive, silentMs, tokens }) => ({
    id,
    state: isAlive ? state : 'UNHEALTHY',
    zone,
    url,
    shards,
    tokens,
    registered: new Date(registeredMs).toISOString(),
    silent_s: Math.round(silentMs / 100) / 10,
  }));
  return { ring: ring.name, instances };
}

function page({ ring, own }: RingRoutesDeps): string {
  const rows = shown(ring).instances.map((one) => {
    const cells = [one.id, one.state, one.zone, one.url, one.shards, one.tokens, one.registered, `${one.silent_s} s`].map(
      (cell) => `<td>${escaped(String(cell))}</td>`,
    );
    const buttons = [button('forget', 'Forget', one.id), ...(one.id === own.id ? [button('drain', 'Drain', one.id)] : [])];
    return `<tr>${cells.join('')}<td><form method="post">${buttons.join(' ')}</form></td></tr>`;
  });
  const heads = ['instance', 'state', 'zone', 'address', 'shards', 'tokens', 'registered', 'silent for', ''].map(
    (head) => `<th align="left">${head}</th>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Ring of ${escaped(ring.name)}s</title>
<h1>Ring of ${escaped(ring.name)}s</h1>
<table cellpadding="4"><thead><tr>${heads.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>\n`;
}

function button(order: string, text: string, id: string): string {
  return `<button name="${order}" value="${escaped(id)}">${text}</button>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
