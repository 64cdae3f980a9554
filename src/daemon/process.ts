/** directord as a process: its streams, its user, the host, and the moment when it may leave its parent. */
import { directord } from '../cli/directord.ts';
import { isDetached, leaveParent, tellParent, tellParentReady } from '../platform/detach.ts';
import { showManual } from '../platform/manual.ts';
import { performOnHost } from './perform-on-host.ts';
import { perform } from './perform.ts';

/** Runs the command and ends the process. @param argv as `process.argv` */
export async function main(argv: readonly string[]): Promise<never> {
  // A terminal or pipe that went away must not end a daemon; what it would have shown is in the log.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

  const streams = {
    out: (text: string): void => void process.stdout.write(text),
    err: isDetached ? tellParent : (text: string): void => void process.stderr.write(text),
  };
  const user = { uid: process.getuid?.() ?? 0, env: process.env };

  const code = await directord(argv, {
    streams,
    showManual,
    performOnHost: (command) => performOnHost(command, streams, user),
    perform: (invocation) =>
      perform(invocation, {
        streams,
        user,
        detached: isDetached,
        ready: () => {
          tellParentReady();
          void leaveParent();
        },
        exit: (code) => process.exit(code),
      }),
  });
  await leaveParent();
  process.exit(code);
}
