#!/usr/bin/env node
import { directord } from '../cli/directord.ts';
import { performOnHost } from '../daemon/perform-on-host.ts';
import { perform } from '../daemon/perform.ts';
import { isDetached, leaveParent, tellParent, tellParentReady } from '../platform/detach.ts';
import { showManual } from '../platform/manual.ts';

// A terminal or pipe that went away must not end a daemon; what it would have shown is in the log.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const streams = {
  out: (text: string): void => void process.stdout.write(text),
  err: isDetached ? tellParent : (text: string): void => void process.stderr.write(text),
};

const user = { uid: process.getuid?.() ?? 0, env: process.env };

const code = await directord(process.argv, {
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
