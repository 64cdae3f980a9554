/** A fake server of datagrams, as bad as a test wants it. */
import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Clock, Timer } from '../../../src/util/clock.ts';

interface Teardown {
  teardown(end: () => unknown): void;
}

/** Gives every datagram to `answer`, and sends back what that returns, each in a datagram. @returns its port */
export async function listenUdp(
  t: Teardown,
  answer: (question: Buffer, nth: number) => readonly (string | Buffer)[],
  host = '127.0.0.1',
  at = 0,
): Promise<number> {
  const socket: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  t.teardown(() => socket.close());
  let asked = 0;
  socket.on('message', (question, { port, address }) => {
    asked += 1;
    for (const datagram of answer(question, asked)) socket.send(datagram, port, address);
  });
  socket.bind(at, host);
  await once(socket, 'listening');
  return socket.address().port;
}

/** A port on which nobody listens. */
export async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => {
    socket.close(resolve);
  });
  return port;
}

/** A clock whose time passes at once, a few times: so a question is repeated without waiting. */
export function hurriedClock(times: number): Clock & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    now: () => 0,
    after(milliseconds, callback): Timer {
      waits.push(milliseconds);
      let immediate: NodeJS.Immediate | undefined;
      if (waits.length <= times) immediate = setImmediate(callback);
      return {
        cancel() {
          clearImmediate(immediate);
        },
      };
    },
  };
}
