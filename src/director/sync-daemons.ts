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
    const maxLength = daemon.maxLength || Math.min(mtu, 65535) - headerBytes[familyOf(daemon.group)];
    this.#running.set(daemon.role, { ...daemon, maxLength });
  }

  stop(role: SyncRole): void {
    if (!this.#running.delete(role)) throw new DirectorError('ESRCH', `no ${role} sync daemon is running`);
  }
}
