/**
 * Where a daemon keeps its files. Root uses ldirectord's places; anyone else a directory of their own, because
 * `/var/run` and `/var/log` are not theirs. `DIRECTORD_RUN_DIR` overrides the directory of the pid file.
 */
import { accessSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { defaultLogfile } from '../config/resolve-global.ts';
import { PidFile } from './pid-file.ts';

export interface User {
  readonly uid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const systemRunDirectory = '/var/run';

/** What pid file and log call a daemon: the last part of CONFIG, `ldirectord` without one, `directord` without a monitor. */
export function daemonName(config: string | undefined, monitor: boolean): string {
  if (!monitor) return 'directord';
  return config === undefined ? 'ldirectord' : basename(config);
}

/** Exists, or is made. @throws when it cannot be, or belongs to somebody else */
export function runDirectory({ uid, env }: User): string {
  const override = env['DIRECTORD_RUN_DIR'];
  if (override !== undefined && override !== '') {
    try {
      mkdirSync(override, { recursive: true });
    } catch (cause) {
      throw new Error(`DIRECTORD_RUN_DIR cannot be used: ${(cause as Error).message}`, { cause });
    }
    return override;
  }
  if (uid === 0) return systemRunDirectory;
  const runtime = env['XDG_RUNTIME_DIR'];
  const directory = runtime ? join(runtime, 'directord') : `/tmp/directord-${uid}`;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // In /tmp anyone could have made it first, and would then own our pid file.
  const stat = lstatSync(directory);
  if (!stat.isDirectory() || stat.uid !== uid) {
    throw new Error(`${directory} belongs to somebody else; name another with DIRECTORD_RUN_DIR`);
  }
  return directory;
}

/** A user who has no such daemon asks about the one that root started, if it runs. */
export function findPidFile(name: string, user: User): PidFile {
  const own = new PidFile(join(runDirectory(user), `ldirectord.${name}.pid`));
  if (user.uid === 0 || user.env['DIRECTORD_RUN_DIR'] || own.read().state !== 'stopped') return own;
  const system = new PidFile(join(systemRunDirectory, `ldirectord.${name}.pid`));
  return system.read().state === 'running' ? system : own;
}

/** Where to log while no configuration says so. */
export function logFileWithoutConfiguration(user: User): string {
  return user.env['DIRECTORD_RUN_DIR'] ? join(runDirectory(user), basename(defaultLogfile)) : defaultLogfile;
}

/** The default log file, or one in the run directory for a user who may not write that. */
export function writableLogFile(path: string, user: User): string {
  if (path !== defaultLogfile || user.uid === 0) return path;
  try {
    accessSync(path, constants.W_OK);
    return path;
  } catch {
    return join(runDirectory(user), basename(path));
  }
}
