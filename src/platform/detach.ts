/**
 * Puts the daemon into the background: a child in a session of its own without a terminal, which tells its parent over
 * an IPC channel how the start goes. The parent waits for that, so `start` fails where somebody can see it.
 */
import { spawn } from 'node:child_process';

/** What the daemon tells whoever started it. */
type StartMessage = { readonly kind: 'said'; readonly text: string } | { readonly kind: 'ready' };

export interface DetachedProgram {
  /** Options of node itself. */
  readonly nodeOptions: readonly string[];
  /** Path of the program, then its arguments; what `ps` and pgrep see. */
  readonly commandLine: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** After so many milliseconds without an answer the child is killed and the start has failed. */
  readonly patience: number;
  /** Gets what the child says about its start. */
  said(text: string): void;
}

const marker = 'DIRECTORD_DETACHED';

/** @returns 0 when the daemon is ready, else the exit code to end with */
export function startDetached(program: DetachedProgram): Promise<number> {
  const child = spawn(process.execPath, [...program.nodeOptions, ...program.commandLine], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: { ...program.env, [marker]: '1' },
  });
  return new Promise((resolve) => {
    const settle = (code: number): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      resolve(code);
    };
    const timer = setTimeout(() => {
      program.said(`the daemon was not ready within ${program.patience / 1000} seconds and was killed\n`);
      child.kill('SIGKILL');
      settle(1);
    }, program.patience);
    child.on('error', (error) => {
      program.said(`the daemon could not be started: ${error.message}\n`);
      settle(1);
    });
    child.on('message', (message) => {
      const told = message as StartMessage;
      if (told.kind === 'said') program.said(told.text);
      else settle(0);
    });
    // Its last words may still be on their way when it has ended: 'close' comes behind them, 'exit' may not.
    child.on('close', (code, signal) => {
      if (signal !== null) program.said(`the daemon was ended by ${signal} before it was ready\n`);
      settle(code === null || code === 0 ? 1 : code);
    });
  });
}

/** True in the child that {@link startDetached} made; not in the programs that it runs in turn. */
export const isDetached = process.env[marker] === '1' && process.send !== undefined;
Reflect.deleteProperty(process.env, marker);

let told: Promise<unknown> = Promise.resolve();

/** For the child: says something to the parent, or to nobody when the parent was not so patient. */
export function tellParent(text: string): void {
  send({ kind: 'said', text });
}

export function tellParentReady(): void {
  send({ kind: 'ready' });
}

/** For the child: nothing more will be said. */
export async function leaveParent(): Promise<void> {
  await told;
  if (process.connected) process.disconnect();
}

function send(message: StartMessage): void {
  if (!process.connected) return;
  const sent = new Promise((resolve) => process.send?.(message, undefined, undefined, resolve));
  told = Promise.all([told, sent]);
}
