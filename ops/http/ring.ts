import type { Kv } from '../../topology/ring/kv.ts';
import { removeInstance } from '../../topology/ring/member.ts';
import type { Ring } from '../../topology/ring/ring.ts';
import { Fault } from '../base/fault.ts';
import type { Component } from '../targets.ts';
import { type HttpReply, JSON_TYPE, type Route } from './route.ts';

export interface RingRoutesDeps {
  readonly component: Component;
  readonly ring: () => Promise<Ring>;
  readonly kv: Kv;
  /** This process's instance. */
  readonly own: string;
  /** Has it leave the ring for good. Throws Fault not_found if it is in none. */
  readonly drain: () => void;
}

const HTML_TYPE = 'text/html; charset=utf-8';
/** Loki's, where it has the ring. */
const PATHS: Readonly<Partial<Record<Component, string>>> = { ingester: '/ring', 'query-scheduler': '/scheduler/ring' };

/** Where the ring of a component is shown. */
export function ringPath(component: Component): string {
  return PATHS[component] ?? `/${component}/ring`;
}

/** `GET` of the path: a page for people, JSON on request. `POST` with `forget=ID` makes everybody forget an instance that will not come back, with `drain=ID` one hands over what it has
 *  and leaves; the order is sent on to the process that it is about. */
export function ringRoutes(deps: RingRoutesDeps): Route[] {
  return [
    {
      methods: ['GET', 'POST'],
      path: ringPath(deps.component),
      access: 'open',
      async handle(request) {
        if (request.method === 'POST') return ordered(deps, await request.params());
        const ring = await deps.ring();
        return request.header('accept').includes('json')
          ? { status: 200, type: JSON_TYPE, body: JSON.stringify(shown(ring)) }
          : { status: 200, type: HTML_TYPE, body: page(ring) };
      },
    },
  ];
}

async function ordered(deps: RingRoutesDeps, params: URLSearchParams): Promise<HttpReply> {
  const { forget: forgotten, drain: drained } = Object.fromEntries(params) as Record<string, string | undefined>;
  if (forgotten) return forget(deps, forgotten);
  if (drained) return drain(deps, drained);
  throw new Fault('bad_request', 'forget=ID or drain=ID says what is to be done with which instance');
}

async function forget({ component, ring, kv }: RingRoutesDeps, id: string): Promise<HttpReply> {
  if ((await ring()).find(id)?.isAlive) throw new Fault('bad_request', `instance ${id} is alive, and would only come back`);
  await removeInstance(kv, id);
  return { status: 302, headers: { location: ringPath(component) }, body: '' };
}

async function drain({ component, ring, own, drain: leave }: RingRoutesDeps, id: string): Promise<HttpReply> {
  const path = ringPath(component);
  if (id === own) {
    leave();
    return { status: 302, headers: { location: path }, body: '' };
  }
  const seen = (await ring()).find(id);
  if (seen === undefined) throw new Fault('not_found', `there is no instance ${id}`);
  return { status: 307, headers: { location: `${seen.instance.url}${path}` }, body: '' };
}

interface ShownInstance {
  readonly id: string;
  readonly state: string;
  readonly zone: string;
  readonly url: string;
  readonly shards: number;
  readonly tokens: number;
  /** Of the ingest topic; absent where there is no Kafka. */
  readonly partitions?: readonly number[];
  readonly registered: string;
  /** Since its last heartbeat. */
  readonly silent_s: number;
}

function shown(ring: Ring): { ring: string; instances: ShownInstance[] } {
  const instances = ring
    .instances()
    .map(({ instance: { id, state, zone, url, shards, registeredMs, partitions }, isAlive, silentMs, tokens }) => ({
      id,
      state: isAlive ? state : 'UNHEALTHY',
      zone,
      url,
      shards,
      tokens,
      ...(partitions && { partitions }),
      registered: new Date(registeredMs).toISOString(),
      silent_s: Math.round(silentMs / 100) / 10,
    }));
  return { ring: ring.name, instances };
}

function page(ring: Ring): string {
  const rows = shown(ring).instances.map((one) => {
    const partitions = one.partitions?.join(' ') ?? '';
    const cells = [one.id, one.state, one.zone, one.url, one.shards, one.tokens, partitions, one.registered, `${one.silent_s} s`].map(
      (cell) => `<td>${escaped(String(cell))}</td>`,
    );
    const buttons = ['drain', 'forget'].map((order) => `<button name="${order}" value="${escaped(one.id)}">${order}</button>`);
    return `<tr>${cells.join('')}<td><form method="post">${buttons.join(' ')}</form></td></tr>`;
  });
  const heads = ['instance', 'state', 'zone', 'address', 'shards', 'tokens', 'partitions', 'registered', 'silent for', ''].map(
    (head) => `<th align="left">${head}</th>`,
  );
  return `<!doctype html><meta charset="utf-8"><title>Ring of ${escaped(ring.name)}s</title>
<h1>Ring of ${escaped(ring.name)}s</h1>
<table cellpadding="4"><thead><tr>${heads.join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
