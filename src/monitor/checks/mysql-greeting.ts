/** The first packet of a MySQL server: who it is, and whether it has TLS (MySQL internals, Protocol::HandshakeV10). */
import type { Socket } from 'node:net';
import { take } from './take.ts';

export interface Greeting {
  /** Program and version: `MySQL 8.0.36`, `10.11.6-MariaDB`. */
  readonly server: string;
  readonly tls: boolean;
}

const headerBytes = 4;
const longest = 4096;
const capabilityTls = 0x0800;

/** Reads the greeting, and puts it back for who has the connection next. */
export async function takeGreeting(socket: Socket): Promise<Greeting> {
  const header = await take(socket, headerBytes);
  const length = header.readUIntLE(0, 3);
  if (length === 0 || length > longest) throw new Error('no MySQL: what it says first is not a greeting');
  const packet = await take(socket, length);
  socket.unshift(Buffer.concat([header, packet]));
  return parse(packet);
}

/** @returns of a server that says no more than an error: the library will say it */
function parse(packet: Buffer): Greeting {
  const end = packet.indexOf(0, 1);
  // after the version: the connection's id, the first part of the scramble, a zero; then the lower capabilities
  const at = end + 1 + 4 + 8 + 1;
  if (packet[0] !== 10 || end < 0 || packet.length < at + 2) return { server: 'MySQL', tls: false };
  const version = packet.toString('latin1', 1, end).replace(/^5\.5\.5-/, '');
  return {
    server: version.includes('MariaDB') ? version : `MySQL ${version}`,
    tls: (packet.readUInt16LE(at) & capabilityTls) !== 0,
  };
}
