import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { COMPONENTS, type Component } from '../targets.ts';
import type { LocalCluster, LocalMember } from './local-cluster.ts';

export const ORDERS = ['add', 'drain', 'restart'] as const;
export type Order = (typeof ORDERS)[number];

/** What is to be done with a running local cluster. */
export interface LocalOrder {
  readonly order: Order;
  readonly role: Component;
  /** All of the role, or whichever is best, without. */
  readonly instance?: string | undefined;
}

export interface Control {
  /** Where orders are posted: only who can read this address may give any. */
  readonly url: string;
  close(): void;
}

/** Takes orders for a local cluster, one after the other. */
export async function serveControl(cluster: LocalCluster): Promise<Control> {
  const path = `/${randomUUID()}`;
  let last: Promise<unknown> = Promise.resolve();
  const server = createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== path) {
      response.writeHead(404).end();
      return;
    }
    const obeyed = last.then(async () => obey(cluster, JSON.parse(await textOf(request)) as LocalOrder));
    last = obeyed.catch(() => {});
    obeyed.then(
      (members) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(members)),
      (error: Error) => response.writeHead(400).end(error.message),
    );
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${path}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Gives an order to the cluster whose control is there. Resolves with who it was about once it was obeyed; throws an Error with what is in the way. */
export async function give(order: LocalOrder, url: string): Promise<LocalMember[]> {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(order) });
  if (!answer.ok) throw new Error((await answer.text()) || `the cluster answers with ${answer.status}`);
  return (await answer.json()) as LocalMember[];
}

/** `ROLE` or `ROLE/INSTANCE`; throws an Error if there is no such role. */
export function roleAndInstance(text: string): Pick<LocalOrder, 'role' | 'instance'> {
  const [name, instance] = text.split('/', 2);
  const role = COMPONENTS.find((component) => component === name);
  if (role === undefined) throw new Error(`not one of ${COMPONENTS.join(', ')}: ${name}`);
  return { role, instance };
}

async function obey(cluster: LocalCluster, { order, role, instance }: LocalOrder): Promise<LocalMember[]> {
  const members = order === 'add' ? [await cluster.add(role)] : await cluster[order](role, instance);
  return members.map(({ role: of, instance: id, pid, http, state }) => ({ role: of, instance: id, pid, http, state }));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}
