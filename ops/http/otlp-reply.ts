import type { Fault } from '../base/fault.ts';
import { faultReply, faultText } from './fault-reply.ts';
import { type HttpReply, type HttpRequest, JSON_TYPE } from './route.ts';

const PROTOBUF_TYPE = 'application/x-protobuf';
/** Field 2 of google.rpc.Status, a text. */
const MESSAGE = 0x12;

/** A fault as OTLP's clients want it: a google.rpc.Status in the encoding of the request, its code left out. They send again after 503 but not after 500,
 *  so that 500 becomes 503, as in Loki. */
export function otlpFaultReply(fault: Fault, trace: string, request: Pick<HttpRequest, 'header'>): HttpReply {
  const reply = faultReply(fault, trace);
  const text = faultText(fault, trace);
  const json = /^application\/json\b/i.test(request.header('content-type'));
  return {
    ...reply,
    status: reply.status === 500 ? 503 : reply.status,
    type: json ? JSON_TYPE : PROTOBUF_TYPE,
    body: json ? JSON.stringify({ message: text }) : [statusMessage(text)],
  };
}

function statusMessage(text: string): Buffer {
  const message = Buffer.from(text);
  const head = [MESSAGE];
  let length = message.length;
  for (; length > 127; length = Math.floor(length / 128)) head.push((length % 128) + 128);
  return Buffer.concat([Buffer.from([...head, length]), message]);
}
