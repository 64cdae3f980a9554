/**
 * A network namespace for the test's own process: it vanishes with the process, however that ends. Programs started from
 * the test live in it too.
 */
import { execFileSync } from 'node:child_process';
import koffi from 'koffi';

const CLONE_NEWNET = 0x40000000;

/** Why such tests cannot run here, or false. */
export const skip = process.getuid?.() === 0 ? false : 'network namespaces need root';

/** Moves this process's main thread (and so everything it opens or starts from now on) to an empty network. */
export function enterOwnNetwork(): void {
  const unshare = koffi.load('libc.so.6').func('int unshare(int)') as (flags: number) => number;
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare failed');
  ip('link set lo up');
}

/** Runs ip(8). */
export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8' });
}

/** Two ends of a wire, up, without IPv6 addresses of their own. */
export function wire(one: string, other: string): void {
  ip(`link add ${one} type veth peer name ${other}`);
  for (const end of [one, other]) {
    ip(`link set ${end} addrgenmode none`);
    ip(`link set ${end} up`);
  }
}

/** The link address, as six bytes. */
export function linkAddress(name: string): Uint8Array {
  const [, text = ''] = /link\/(?:ether|loopback) (\S+)/.exec(ip(`link show ${name}`)) ?? [];
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}
