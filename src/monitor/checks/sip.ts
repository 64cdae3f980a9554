/** Sip check: up when the server answers an OPTIONS request with `200 OK` (RFC 3261 section 11), over UDP or TCP as the virtual service. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Ask, Verdict } from './ask.ts';
import { down, up } from './ask.ts';
import { Conversation } from './conversation.ts';
import { withDatagrams } from './datagram.ts';
import { withSocket } from './open-socket.ts';

export const checkSip: Ask = (settings, signal, parts) => {
  const { login, protocol } = settings;
  const callId = randomBytes(8).toString('hex');
  if (protocol !== 'udp') {
    return withSocket(settings, signal, undefined, async (socket) => {
      socket.write(optionsRequest(login, callId, socket.address() as AddressInfo));
      return judge(await statusFrom(new Conversation(socket)));
    });
  }
  return withDatagrams(settings, signal, parts, async (datagrams) => {
    const request = optionsRequest(login, callId, datagrams.local);
    return judge(await datagrams.ask(request, (datagram) => statusIn(datagram.toString('utf8'), callId)));
  });
};

/** The words of ldirectord, in which only the addresses and the Call-ID change. It says UDP over TCP too; servers do not mind. */
function optionsRequest(login: string, callId: string, { address, port, family }: AddressInfo): string {
  const host = family === 'IPv6' ? `[${address.replace(/%.*/, '')}]` : address;
  return [
    `OPTIONS sip:${login} SIP/2.0`,
    `Via: SIP/2.0/UDP ${host}:${port};branch=z9hG4bKhjhs8ass877`,
    'Max-Forwards: 70',
    `To: <sip:${login}>`,
    `From: <sip:${login}>;tag=1928301774`,
    `Call-ID: ${callId}`,
    'CSeq: 63104 OPTIONS',
    `Contact: <sip:${login}>`,
    'Accept: application/sdp',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
}

/** The status line of the final response; one that is well counts once its header is complete. */
async function statusFrom(conversation: Conversation): Promise<string> {
  for (;;) {
    const status = await conversation.line();
    // empty lines before a response mean nothing (RFC 3261 section 7.5)
    if (status === '') continue;
    if (!isProvisional(status) && !isOk(status)) return status;
    while ((await conversation.line()) !== '');
    if (!isProvisional(status)) return status;
  }
}

/** The same for a datagram. @throws when it has no final response to this call */
function statusIn(datagram: string, callId: string): string {
  const [header = '', body] = datagram.trimStart().split(/\r?\n\r?\n/, 2);
  const [status = '', ...fields] = header.split(/\r?\n/);
  if (status === '') throw new Error('an empty datagram');
  if (isProvisional(status)) throw new Error(status);
  if (isOk(status) && body === undefined) throw new Error(`${status}, cut off in its header`);
  const [, call = callId] = /^(?:call-id|i)\s*:\s*(.*?)\s*$/im.exec(fields.join('\n')) ?? [];
  if (call !== callId) throw new Error('a response to another call');
  return status;
}

function judge(status: string): Verdict {
  return isOk(status) ? up(status) : down(status);
}

const isOk = (status: string): boolean => status.startsWith('SIP/2.0 200 OK');
const isProvisional = (status: string): boolean => /^SIP\/2\.0 1\d\d\b/.test(status);
