/** A forwarding child process with a message channel; structured clone, so typed arrays and Maps may be sent. */
import { fork } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { MESSAGE_FD } from './mailbox.ts';
import { bodyOf, frameOf, readFrames } from './message-frames.ts';

export interface ForwarderProcess<Sent, Received> {
  readonly pid: number | undefined;
  /** Whether it may still be spoken to. */
  readonly connected: boolean;
  send(message: Sent): void;
  /** At once, when it no longer answers. */
  kill(): void;
  onMessage(listener: (message: Received) => void): void;
  /** Once, with words for a log: `exit code 1`, `signal SIGKILL`. */
  onExit(listener: (how: string) => void): void;
}

export interface ForwarderOptions {
  /** Variables that it has besides ours. */
  readonly environment?: Readonly<Record<string, string>>;
  /** It reads its messages through a {@link Mailbox}, because its event loop may stand still. */
  readonly mailbox?: boolean;
}

/** Starts `module` as a child of this process. Its standard error is ours. */
export function startForwarder<Sent extends object, Received>(
  module: URL,
  { environment, mailbox = false }: ForwarderOptions = {},
): ForwarderProcess<Sent, Received> {
  const child = fork(module, [], {
    env: { ...process.env, ...environment },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc', mailbox ? 'pipe' : 'ignore'],
  });
  const pipe = mailbox ? (child.stdio[MESSAGE_FD] as Duplex) : undefined;
  // What cannot be written any more is for a child that is going; its exit is reported and handled.
  pipe?.on('error', () => undefined);
  let over = false;
  return {
    get pid() {
      return child.pid;
    },
    get connected() {
      return child.connected;
    },
    send(message) {
      // A failed send means that the child is going; its exit is reported and handled.
      if (pipe !== undefined) pipe.write(frameOf(message));
      else if (child.connected) child.send(message, () => undefined);
    },
    kill() {
      child.kill('SIGKILL');
    },
    onMessage(listener) {
      if (pipe !== undefined) {
        readFrames(pipe, (body) => {
          listener(bodyOf(body) as Received);
        });
        return;
      }
      child.on('message', (message) => {
        listener(message as Received);
      });
    },
    onExit(listener) {
      const once = (how: string): void => {
        if (!over) listener(how);
        over = true;
      };
      child.on('error', (error) => {
        once(error.message);
      });
      child.on('exit', (code, signal) => {
        once(signal === null ? `exit code ${String(code)}` : `signal ${signal}`);
      });
    },
  };
}
