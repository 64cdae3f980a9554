/**
 * The second connection of FTP, by which a file comes. Passive: we connect to a port that the server names (PASV, or EPSV of RFC 2428 with
 * IPv6). Active: the server connects to ours (PORT, EPRT). Nobody but the server we asked is connected to, or listened to.
 */
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import { familyOf } from '../../util/ip.ts';
import type { Verdict } from './ask.ts';
import { down } from './ask.ts';
import { withSocket } from './open-socket.ts';
import type { Reply } from './reply.ts';

/** Says a line to the server and reads what it replies. */
export type Command = (line: string) => Promise<Reply>;
/** Asks for the file; the connection is there once the server has begun to send. */
export type Fetch = (data: () => Promise<Socket>) => Promise<Verdict>;

export async function withPassiveData(
  { address }: Pick<CheckSettings, 'address'>,
  signal: AbortSignal,
  command: Command,
  fetch: Fetch,
): Promise<Verdict> {
  const line = familyOf(address) === 'inet' ? 'PASV' : 'EPSV';
  const { kind, text } = await command(line);
  if (kind !== 2) return down(`${line}: ${text}`);
  const port = line === 'PASV' ? passivePort(text) : extendedPort(text);
  if (port === undefined) return down(`${line}: no port in "${text}"`);
  // the address in a reply to PASV may be anybody's: it is not looked at
  return withSocket({ address, port }, signal, undefined, (data) => fetch(() => Promise.resolve(data)));
}

/** `227 Entering Passive Mode (10,2,0,11,136,153)`, whatever is around the six numbers. */
function passivePort(text: string): number | undefined {
  const [, high, low] = /\d+,\d+,\d+,\d+,(\d{1,3}),(\d{1,3})(?!\d)/.exec(text.slice(4)) ?? [];
  return validPort(Number(high) * 256 + Number(low));
}

/** `229 Extended Passive Mode (|||40001|)`; any printable character may stand for the bar. */
function extendedPort(text: string): number | undefined {
  const [, , port] = /\(([!-~])\1\1(\d{1,5})\1\)/.exec(text) ?? [];
  return validPort(Number(port));
}

function validPort(port: number): number | undefined {
  return port >= 1 && port <= 65535 ? port : undefined;
}

export async function withActiveData(
  control: Socket,
  signal: AbortSignal,
  command: Command,
  fetch: Fetch,
): Promise<Verdict> {
  const server = createServer();
  const accepted: Socket[] = [];
  try {
    server.listen({ port: 0, host: control.localAddress });
    await once(server, 'listening', { signal });
    const data = firstFrom(control.remoteAddress, server, accepted, signal);
    // it may fail while nobody waits for it yet, or any more
    data.catch(() => undefined);
    const line = ourAddress(server.address() as AddressInfo);
    const { kind, text } = await command(line);
    if (kind !== 2) return down(`${line}: ${text}`);
    return await fetch(() => data);
  } finally {
    server.close();
    for (const socket of accepted) socket.destroy();
  }
}

function ourAddress({ address, port }: AddressInfo): string {
  if (familyOf(address) === 'inet6') return `EPRT |2|${address}|${port}|`;
  return `PORT ${[...address.split('.'), port >> 8, port & 0xff].join(',')}`;
}

function firstFrom(
  peer: string | undefined,
  server: Server,
  accepted: Socket[],
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    server.on('connection', (socket) => {
      // whoever reads is told
      socket.on('error', () => undefined);
      if (socket.remoteAddress !== peer) {
        socket.destroy();
        return;
      }
      accepted.push(socket);
      server.close();
      resolve(socket);
    });
    server.on('error', reject);
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
      for (const socket of accepted) socket.destroy(signal.reason as Error);
    });
  });
}
