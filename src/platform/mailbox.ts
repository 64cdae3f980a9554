/**
 * The forwarder's end of its messages with the daemon, for a forwarder whose event loop may not turn for seconds: cap works through
 * everything that was captured before it lets go. A thread reads and writes the messages; the forwarder looks for them whenever it
 * likes, or is told as usual while its loop is idle.
 */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { siblingModule } from '../util/sibling-module.ts';
import { bodyOf, frameOf } from './message-frames.ts';

/** The descriptor on which a forwarder finds its messages; see `startForwarder`. */
export const MESSAGE_FD = 4;

export interface Mailbox<Sent> {
  send(message: Sent): void;
  /** Hands over what has come since. Costs about a microsecond when nothing has. */
  poll(): void;
  /** Everything sent so far is on its way when it resolves. */
  close(): Promise<void>;
}

/** What the thread says. An empty body means that the daemon has gone. */
export interface Letter {
  readonly body: Uint8Array;
}

/** @param take of what the daemon sends, which is as trustworthy as it is */
export function openMailbox<Sent>(take: (message: unknown) => void, daemonGone: () => void): Mailbox<Sent> {
  const { port1: port, port2 } = new MessageChannel();
  const worker = new Worker(siblingModule(import.meta.url, 'mailbox-thread'), {
    workerData: { port: port2 },
    transferList: [port2],
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  const open = ({ body }: Letter): void => {
    if (body.length === 0) daemonGone();
    else take(bodyOf(body));
  };
  port.on('message', open);
  return {
    send(message) {
      const body = frameOf(message);
      port.postMessage({ body } satisfies Letter);
    },
    poll() {
      for (;;) {
        const received = receiveMessageOnPort(port) as { message: Letter } | undefined;
        if (received === undefined) return;
        open(received.message);
      }
    },
    close() {
      return new Promise((resolve) => {
        worker.once('exit', () => {
          resolve();
        });
        port.postMessage({ body: new Uint8Array(0) } satisfies Letter);
      });
    },
  };
}
