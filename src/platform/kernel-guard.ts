/**
 * Keeps the kernel's own stack off the packets that the packet engine handles: the engine works on copies (AF_PACKET),
 * so the originals are dropped before the kernel answers (RST), reassembles or forwards them. IPVS does this by
 * stealing packets in its netfilter hooks; we do it with rules in nft or iptables, behind the capture's tap.
 */
import { createHash } from 'node:crypto';
import { openIptablesGuard } from './guard-iptables.ts';
import { openNftGuard } from './guard-nft.ts';
import type { GuardChange, GuardedInterface } from './guard-state.ts';

export type {
  GuardChange,
  GuardClaims,
  GuardedEndpoint,
  GuardedInterface,
  GuardState,
} from './guard-state.ts';

export interface GuardCount {
  readonly packets: number;
  readonly bytes: number;
}

/** What the guard dropped since it was opened (or rebuilt), both families together. */
export interface GuardCounters {
  readonly services: GuardCount;
  readonly replies: GuardCount;
  readonly marks: GuardCount;
}

/** Calls are carried out one after the other. Rejections name the command and its error. */
export interface KernelGuard {
  readonly means: 'nft' | 'iptables';
  /** Notes a change; it is in force when the next apply() has resolved. Costs as much as what changes. */
  change(change: GuardChange): void;
  /**
   * Brings everything noted so far into force. When it rejects, the next call tries again. nft: one transaction. iptables: one for each
   * table and family; it cannot guard a bridge whose packets go through iptables already between its ports, and rejects with what to do
   * about that.
   */
  apply(): Promise<void>;
  /**
   * Puts the rules back when somebody removed or changed them (`nft flush ruleset`, as `systemctl restart nftables` does).
   * @returns whether somebody had
   */
  restore(): Promise<boolean>;
  /** What is wanted stays wanted: the next apply() brings it back. */
  remove(): Promise<void>;
  /** For an exit handler; throws what `remove` rejects with. */
  removeSync(): void;
  counters(): Promise<GuardCounters>;
}

export interface KernelGuardOptions {
  /**
   * Names our table (nft) or chains (iptables, in capitals): see {@link guardName}. At most 20 letters, digits and
   * dashes, the first of them a letter.
   */
  readonly name: string;
  /** Only this one, instead of nft before iptables. */
  readonly means?: KernelGuard['means'];
  /** What the first state will have; iptables refuses some. */
  readonly interfaces?: readonly GuardedInterface[];
}

const nameForm = /^[A-Za-z][A-Za-z0-9-]{0,19}$/;
const defaultSocket = '/run/directord/control.sock';

/** One name for each director of a network namespace: `directord`, or with a suffix when its control socket is not the usual one. */
export function guardName(controlSocket: string): string {
  if (controlSocket === defaultSocket) return 'directord';
  return `directord-${instanceName(controlSocket)}`;
}

/** `default`, or eight hexadecimal digits when its control socket is not the usual one. */
export function instanceName(controlSocket: string): string {
  if (controlSocket === defaultSocket) return 'default';
  return createHash('sha256').update(controlSocket).digest('hex').slice(0, 8);
}

/**
 * What an earlier run of the same name left behind stays in force until the first apply() takes its place, so that a
 * restart leaves no gap in which the kernel would answer. Rejects with a message for people when neither nft nor
 * iptables works.
 */
export async function openKernelGuard({
  name,
  means,
  interfaces = [],
}: KernelGuardOptions): Promise<KernelGuard> {
  if (!nameForm.test(name)) throw new Error(`'${name}' cannot name a table of the packet filter`);
  const tried: string[] = [];
  for (const open of [
    ...(means === 'iptables' ? [] : [openNftGuard]),
    ...(means === 'nft' ? [] : [openIptablesGuard]),
  ]) {
    const opened = await open(name, interfaces);
    if (typeof opened !== 'string') return opened;
    tried.push(opened);
  }
  throw new Error(
    `nothing keeps the kernel's own stack off the virtual services (${tried.join('; ')}). ` +
      'It needs root (CAP_NET_ADMIN) and the Debian package nftables, or iptables',
  );
}
