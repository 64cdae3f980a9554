/** The thread behind a {@link Mailbox}: moves whole messages between the daemon's stream and the forwarder. */
import { Socket } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { workerData } from 'node:worker_threads';
import type { Letter } from './mailbox.ts';
import { MESSAGE_FD } from './mailbox.ts';
import { readFrames } from './message-frames.ts';

const { port } = workerData as { readonly port: MessagePort };
const stream = new Socket({ fd: MESSAGE_FD, readable: true, writable: true });

readFrames(stream, (body) => {
  port.postMessage({ body: Uint8Array.from(body) } satisfies Letter);
});

function gone(): void {
  port.postMessage({ body: new Uint8Array(0) } satisfies Letter);
}
stream.on('end', gone);
stream.on('error', gone);

port.on('message', ({ body }: Letter) => {
  if (body.length > 0) stream.write(body);
  else
    stream.end(() => {
      port.close();
    });
});
