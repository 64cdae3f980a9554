/** The first bytes of a connection, for who must know them before a library has the rest. */
import type { Socket } from 'node:net';

/** Exactly so many bytes. @throws when the connection ends before the server has said them */
export async function take(socket: Socket, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      socket.off('readable', look).off('end', closed).off('close', closed).off('error', fail);
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const closed = (): void => {
      fail(new Error('closed the connection'));
    };
    const look = (): void => {
      const bytes = socket.read(count) as Buffer | null;
      if (bytes === null) return;
      // less than asked for is all that there will be
      if (bytes.length < count) closed();
      else {
        end();
        resolve(bytes);
      }
    };
    socket.on('readable', look).on('end', closed).on('close', closed).on('error', fail);
    look();
  });
}
