/** What a fake server hears on a connection, in pieces of different sizes. */
import type { Socket } from 'node:net';

/** What a fake server does with one connection. */
export type Talk = (socket: Socket) => Promise<void>;

/** As it comes: the clients of these tests say a message at a time. */
export async function* messages(socket: Socket): AsyncGenerator<Buffer> {
  // the end of what is heard is not the end of the connection
  const chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of chunks) yield chunk;
}

/** All of it, once the client has closed its side. */
export async function* wholes(socket: Socket): AsyncGenerator<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of messages(socket)) chunks.push(chunk);
  yield Buffer.concat(chunks);
}

/** With their ends. */
export async function* lines(socket: Socket): AsyncGenerator<Buffer> {
  let rest = '';
  for await (const chunk of messages(socket)) {
    const parts = (rest + chunk.toString('latin1')).split(/(?<=\n)/);
    rest = parts.at(-1)?.endsWith('\n') === true ? '' : (parts.pop() ?? '');
    for (const part of parts) yield Buffer.from(part, 'latin1');
  }
}
