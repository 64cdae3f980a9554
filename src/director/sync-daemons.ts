/**
 * The state of the connection synchronisation daemons, at most one a role, as `--start-daemon` and `--stop-daemon`
 * change it. Kept and listed only: whoever synchronises connections reads it here.
 */
import { familyOf } from '../util/ip.ts';
import type { SyncDaemon, SyncRole } from './table.ts';
import { DirectorError } from './verbs.ts';

/** Bytes of the IP and UDP headers around a sync message. */
const headerBytes = { inet: 28, inet6: 48 } as const;

export class SyncDaemons {
  readonly #running = new Map<SyncRole, SyncDaemon>();
  readonly #mtu: (networkInterface: string) => number | undefined;

  /** @param mtu bytes, or undefined when there is no such interface */
  constructor(mtu: (networkInterface: string) => number | undefined) {
    this.#mtu = mtu;
  }

  get size(): number {
    return this.#running.size;
  }

  /** Master first. */
  list(): readonly SyncDaemon[] {
    const roles: readonly SyncRole[] = ['master', 'backup'];
    return roles.flatMap((role) => this.#running.get(role) ?? []);
  }

  start(daemon: SyncDaemon): void {
    const mtu = this.#mtu(daemon.interface);
    if (mtu === undefined) throw new DirectorError('ENODEV', `no interface named ${daemon.interface}`);
    if (this.#running.has(daemon.role)) {
      throw new DirectorError('EEXIST', `the ${daemon.role} sync daemon is running already`);
    }
    this.#running.set(daemon.role, { ...daemon, maxLength: maxLength(daemon, mtu) });
  }

  stop(role: SyncRole): void {
    if (!this.#running.delete(role)) throw new DirectorError('ESRCH', `no ${role} sync daemon is running`);
  }
}

/** A backup takes whatever its interface can bring, and no less than a master may send by default. */
function maxLength({ role, group, maxLength: wished }: SyncDaemon, mtu: number): number {
  const headers = headerBytes[familyOf(group)];
  const [least, usual] = role === 'backup' ? [1024, Math.min(Math.max(mtu, 1500), 65535)] : [1, 1500];
  return wished === 0 ? usual - headers : Math.min(Math.max(wished, least), 65535 - headers);
}
