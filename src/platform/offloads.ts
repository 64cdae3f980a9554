/**
 * The offloads of an interface that keep a user-space director from seeing packets as they were on the wire: those that
 * merge received packets, and those that make libpcap reserve 64 KiB a frame. What was changed can be put back, also by
 * another process after a crash.
 */
import { readdirSync } from 'node:fs';
import type { Feature } from './ethtool.ts';
import { Ethtool } from './ethtool.ts';

/** Serializable. The names are the kernel's: `rx-gro`, `tx-tcp-segmentation`. */
export interface OffloadChange {
  readonly interface: string;
  /** Were on and are off now. */
  readonly switchedOff: readonly string[];
  /** Are still on: the driver does not let them go. */
  readonly refused: readonly string[];
}

/** Make one packet of several that were received: longer than the MTU, with a checksum that nobody computed. */
const merging = ['rx-gro', 'rx-lro', 'rx-gro-hw', 'rx-gro-list', 'rx-udp-gro-forwarding'];

/** Do nothing to frames that we send; but while one is on, libpcap's ring has a thirtieth of the slots. */
const enlarging = [
  'tx-generic-segmentation',
  'tx-tcp-segmentation',
  'tx-tcp-ecn-segmentation',
  'tx-tcp-mangleid-segmentation',
  'tx-tcp6-segmentation',
  'tx-udp-fragmentation',
];

/**
 * Which slots a capture's ring gets when it is opened afterwards. `mtu`: many, for frames as a wire brings them. `large`: few,
 * of 64 KiB, for interfaces whose other end (a container, a virtual machine) hands over segments that nobody has cut.
 */
export type RingSlots = 'mtu' | 'large';

/**
 * Switches off what is in the way, as far as the driver allows. Needs CAP_NET_ADMIN. To be done before a capture is opened.
 * @throws when there is no such interface
 */
export function switchOffloadsOff(
  interfaceName: string,
  slots: RingSlots = 'mtu',
): OffloadChange & { restore(): void } {
  const unwanted = slots === 'mtu' ? [...merging, ...enlarging] : merging;
  const ethtool = new Ethtool(interfaceName);
  const on = active(ethtool, unwanted);
  const changeable = on.filter(({ changeable }) => changeable).map(({ name }) => name);
  if (changeable.length > 0) ethtool.set(changeable, false);
  const refused = active(ethtool, unwanted).map(({ name }) => name);
  const switchedOff = changeable.filter((name) => !refused.includes(name));
  const change = { interface: interfaceName, switchedOff, refused };
  return {
    ...change,
    restore: () => {
      restoreOffloads(change);
    },
  };
}

/**
 * Opens a capture whose ring has large slots. libpcap asks for them while some offload is on, so one is on for that moment.
 * @throws what `open` throws
 */
export function withLargeSlots<Opened>(interfaceName: string, open: () => Opened): Opened {
  const ethtool = new Ethtool(interfaceName);
  const [first = ''] = enlarging;
  if (active(ethtool, enlarging).length > 0) return open();
  ethtool.set([first], true);
  try {
    return open();
  } finally {
    ethtool.set([first], false);
  }
}

/** Puts back exactly what was changed. @throws when the interface is gone */
export function restoreOffloads(change: OffloadChange): void {
  if (change.switchedOff.length > 0) new Ethtool(change.interface).set(change.switchedOff, true);
}

/** The offloads that are on and in the way. @throws when there is no such interface */
export function offloadsOn(interfaceName: string): readonly string[] {
  return active(new Ethtool(interfaceName), [...merging, ...enlarging]).map(({ name }) => name);
}

/**
 * What a bond, bridge, VLAN or the like receives through, down to the hardware: packets are merged there, before the
 * interface itself gets them. By /sys, which shows the network namespace in which it was mounted.
 */
export function lowerInterfaces(interfaceName: string): readonly string[] {
  const lower = readdirSync(`/sys/class/net/${interfaceName}`)
    .filter((entry) => entry.startsWith('lower_'))
    .map((entry) => entry.slice('lower_'.length));
  return [...new Set(lower.flatMap((name) => [name, ...lowerInterfaces(name)]))];
}

function active(ethtool: Ethtool, names: readonly string[]): readonly Feature[] {
  return ethtool.features().filter((feature) => feature.active && names.includes(feature.name));
}
