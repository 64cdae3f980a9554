/** Where the control socket is, for both commands: given, from the environment, or by who one is. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const systemSocket = '/run/directord/control.sock';

/** Bytes of the longest path that a unix socket can have on Linux; longer ones would silently be cut. */
export const maxSocketPath = 107;

/** What of the process decides. */
export interface Owner {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

function thisProcess(): Owner {
  return { uid: process.getuid?.() ?? 0, env: process.env };
}

/** The socket that a directord of this owner serves. @param given as with `--control` */
export function controlSocketPath(given: string | undefined, { uid, env }: Owner = thisProcess()): string {
  const chosen = given ?? env['DIRECTORD_CONTROL'];
  if (chosen !== undefined && chosen !== '') return chosen;
  if (uid === 0) return systemSocket;
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime === undefined || runtime === ''
    ? `/tmp/directord-${uid}/control.sock`
    : join(runtime, 'directord/control.sock');
}

/** The socket a client of this owner goes to: without a directord of one's own, root's, which may refuse. */
export function clientSocketPath(
  given: string | undefined,
  owner: Owner = thisProcess(),
  exists: (path: string) => boolean = existsSync,
): string {
  const own = controlSocketPath(given, owner);
  const explicit = given ?? owner.env['DIRECTORD_CONTROL'] ?? '';
  return explicit === '' && !exists(own) && exists(systemSocket) ? systemSocket : own;
}
