/** Connect check: up when the server accepts a TCP connection, which is closed at once. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Ask } from './ask.ts';
import { down, up } from './ask.ts';

export const checkConnect: Ask = async ({ address, port }, signal) => {
  if (port === 0) return down('no port to connect to');
  const socket = connect({ host: address, port, signal });
  try {
    await once(socket, 'connect');
    return up('connected');
  } finally {
    socket.destroy();
  }
};
