/** Who listens, from `/proc/net` and the descriptors of every process that we may look at. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Address } from '../../../util/ip.ts';
import { formatAddress } from '../../../util/ip.ts';
import type { Listener } from '../facts.ts';

interface Socket extends Pick<Listener, 'protocol' | 'address' | 'port'> {
  readonly inode: string;
}

/** What the kernel calls a TCP socket that listens, and a UDP socket without a peer. */
const waiting = { tcp: '0A', udp: '07' } as const;

/** @param text of `/proc/net/tcp`, `tcp6`, `udp` or `udp6` */
export function readSockets(text: string, protocol: 'tcp' | 'udp'): readonly Socket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      if (state !== waiting[protocol]) return [];
      return [{ protocol, address: addressOf(address), port: Number.parseInt(port, 16), inode }];
    });
}

/** Words of 32 bits in the order of this machine's bytes. */
function addressOf(hex: string): Address {
  const bytes = Buffer.from(hex, 'hex');
  return formatAddress(new Uint8Array(bytes.swap32()));
}

/** @param ports that matter: looking for their owners is the dear part */
export function gatherListeners(ports: ReadonlySet<number>): readonly Listener[] {
  const sockets = (['tcp', 'udp'] as const).flatMap((protocol) =>
    ['', '6'].flatMap((six) => readSockets(readFileSync(`/proc/net/${protocol}${six}`, 'latin1'), protocol)),
  );
  const wanted = sockets.filter(({ port }) => ports.has(port));
  const owners =
    wanted.length === 0 ? new Map<string, string>() : findOwners(new Set(wanted.map(({ inode }) => inode)));
  return wanted.map(({ inode, ...socket }) => {
    const pid = owners.get(inode);
    const words = pid === undefined ? [] : readIfThere(`/proc/${pid}/cmdline`).split('\0');
    const process = pid === undefined ? '' : readIfThere(`/proc/${pid}/comm`).trim();
    return { ...socket, process, ours: words.some(isOurs) };
  });
}

/** A word of the command line of the daemon, or of the process in which its engine forwards. */
function isOurs(word: string): boolean {
  return /(^|\/)(l?directord(\.[jt]s)?|engines\/\w+\/[\w-]+\.[jt]s)$/.test(word);
}

/** Inode of a socket -> pid. */
function findOwners(inodes: ReadonlySet<string>): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of unlessGone(() => readdirSync(`/proc/${pid}/fd`), [])) {
      const target = unlessGone(() => readlinkSync(`/proc/${pid}/fd/${descriptor}`), '');
      const inode = /^socket:\[(\d+)]$/.exec(target)?.[1];
      if (inode !== undefined && inodes.has(inode)) owners.set(inode, pid);
    }
  }
  return owners;
}

function readIfThere(path: string): string {
  return unlessGone(() => readFileSync(path, 'latin1'), '');
}

/** A process may end while we look at it, or belong to somebody else. */
function unlessGone<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return otherwise;
    throw error;
  }
}
