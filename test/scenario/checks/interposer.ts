/**
 * What may stand between a check and a good server: one that takes connections and says nothing, one that passes on what the server says
 * byte by byte, one that closes half-way. So a real server's own words are slow, or cut off.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

export type Mischief =
  | 'silent'
  /** A byte of the server's every 150 ms; of UDP an answer after a minute. */
  | 'slow'
  /** So many bytes of the server's, then the end; of UDP a datagram that is so short. */
  | number;

export interface Interposer {
  readonly port: number;
  close(): void;
}

const slowness = 150;

export async function interposeTcp(mischief: Mischief, serverPort: number): Promise<Interposer> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  };
  // a client that has said everything may still wait for answers
  const server = createServer({ allowHalfOpen: true }, (client) => {
    track(client);
    if (mischief === 'silent') {
      client.resume();
      return;
    }
    const upstream = track(connect({ port: serverPort, host: '127.0.0.1' }));
    client.pipe(upstream);
    client.on('close', () => upstream.destroy());
    if (mischief === 'slow') passSlowly(upstream, client);
    else passSome(upstream, client, mischief);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function passSlowly(upstream: Socket, client: Socket): void {
  let waiting = Buffer.alloc(0);
  upstream.on('data', (chunk: Buffer) => (waiting = Buffer.concat([waiting, chunk])));
  const timer = setInterval(() => {
    if (waiting.length > 0) client.write(waiting.subarray(0, 1));
    waiting = waiting.subarray(1);
  }, slowness);
  client.on('close', () => {
    clearInterval(timer);
  });
}

function passSome(upstream: Socket, client: Socket, bytes: number): void {
  let left = bytes;
  upstream.on('data', (chunk: Buffer) => {
    const passed = chunk.subarray(0, left);
    left -= passed.length;
    if (left > 0) client.write(passed);
    else client.end(passed, () => upstream.destroy());
  });
  upstream.on('end', () => client.end());
}

export async function interposeUdp(mischief: Mischief, serverPort: number): Promise<Interposer> {
  const front = createSocket('udp4');
  const backs = new Set<UdpSocket>();
  front.on('message', (question, client) => {
    if (typeof mischief !== 'number') return;
    const back = createSocket('udp4');
    backs.add(back);
    back.on('message', (answer) => {
      front.send(answer.subarray(0, mischief), client.port, client.address);
    });
    back.send(question, serverPort, '127.0.0.1');
  });
  await new Promise<void>((resolve) => {
    front.bind(0, '127.0.0.1', resolve);
  });
  return {
    port: front.address().port,
    close: () => {
      for (const socket of [front, ...backs]) socket.close();
    },
  };
}
