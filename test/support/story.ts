/**
 * Packet stories: what a director does with packets, told as a table and steps, one JSON file each in `test/stories`. The
 * same stories are true of the kernel's IPVS, which told most of them (`make oracle`), and of the engines that forward packets.
 *
 * The place: clients on 10.1.0.0/24 (`client`, and `gateway`, 10.1.0.254, for those further away), the director with 10.1.0.1
 * towards them and 10.2.0.1 towards the real servers `rs1` to `rs3` (10.2.0.11 to 13), the VIP 10.1.0.100 on its loopback;
 * in IPv6 2001:db8:1:: and 2001:db8:2:: with the same last digits.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { PacketText } from './packet-text.ts';

export type Side = 'client' | 'server';

/** A frame that the director sends, by the host it is for; or `local`, a packet that goes to the director's own stack. */
export interface Sent {
  readonly to: string;
  readonly packet: PacketText;
}

export type Step =
  | {
      readonly in: { readonly side: Side; readonly packet: PacketText };
      readonly out: readonly Sent[];
      /** What the director's own stack answered to the packet that it got: no engine's doing. */
      readonly stack?: readonly Sent[];
    }
  | { readonly ipvsadm: string }
  | { readonly sysctl: Readonly<Record<string, number>> }
  /** Seconds. */
  | { readonly wait: number }
  /**
   * `TCP ESTABLISHED 10.1.0.2:50001 10.1.0.100:80 10.2.0.11:80 900`: client, virtual, destination, seconds left, rounded up; of
   * some templates then persistence engine and its data: ` sip aaa@x`.
   */
  | { readonly connections: readonly string[] }
  /** Lines of `ipvsadm -L -n`, blanks collapsed, without the three lines of heading. */
  | { readonly listing: readonly string[] }
  /** The same with `--stats`. */
  | { readonly stats: readonly string[] }
  /** The same with `--persistent-conn`. */
  | { readonly persistent: readonly string[] };

export interface Story {
  readonly name: string;
  readonly about: string;
  /** Who told it: `Linux 6.1.176 IPVS in User-Mode Linux`, or `by hand: ` and why the kernel could not. */
  readonly source: string;
  /** Below net.ipv4.vs; what is not named has the kernel's default. */
  readonly sysctl?: Readonly<Record<string, number>>;
  /** Where it is not 1500: of the director's interface towards the real servers. */
  readonly mtu?: number;
  /** Of the connection table, where they are not far away; half-open ones: a power of two. IPVS has none. */
  readonly limits?: { readonly connections: number; readonly halfOpen: number };
  /** Whether the director lowers what SYNs through tunnels tell: not of IPVS, so not in `test/stories`. */
  readonly mssClamp?: boolean;
  /** Rules of the director's own iptables (ip6tables): they mark packets for fwmark services. */
  readonly iptables?: readonly string[];
  readonly ip6tables?: readonly string[];
  /** ipvsadm command lines. */
  readonly table: readonly string[];
  readonly steps: readonly Step[];
}

/** Compiled, this file is in dist/tools/test/support. */
const compiled = import.meta.url.includes('/dist/tools/');
const folder = new URL(compiled ? '../../../../test/stories/' : '../stories/', import.meta.url);

export function readStories(): readonly Story[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Story);
}
