/** The one socket of a check: opened within its deadline, over TLS where the service is, and closed whatever happens. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import type { CheckSettings } from '../../config/model.ts';
import type { Verdict } from './ask.ts';
import { down } from './ask.ts';
import { tlsFailure } from './tls.ts';

/** @param tls undefined: plain TCP. @returns what `talk` says of the server; the socket is destroyed by then */
export async function withSocket(
  { address, port }: Pick<CheckSettings, 'address' | 'port'>,
  signal: AbortSignal,
  tls: ConnectionOptions | undefined,
  talk: (socket: Socket) => Promise<Verdict>,
): Promise<Verdict> {
  if (port === 0) return down('no port to connect to');
  const plain = connect({ host: address, port, signal });
  // whoever reads or writes next is told; without this, the process would be
  plain.on('error', () => undefined);
  let socket: Socket = plain;
  try {
    await once(plain, 'connect');
    if (tls !== undefined) socket = await secured(plain, tls);
    return await talk(socket);
  } finally {
    socket.destroy();
    plain.destroy();
  }
}

async function secured(plain: Socket, tls: ConnectionOptions): Promise<Socket> {
  const socket = connectTls({ ...tls, socket: plain });
  socket.on('error', () => undefined);
  try {
    await once(socket, 'secureConnect');
    return socket;
  } catch (error) {
    throw new Error(tlsFailure(error), { cause: error });
  }
}
