/**
 * Where on an interface the programs are attached, and why. tc is complete and always there; XDP before it is three times as
 * fast where frames come as they were on the wire, and loses packets, without a word, where they do not.
 */

/** `auto`: XDP where it is safe. `xdp`: everywhere, by the kernel's generic code where the driver has none. `tc`: nowhere. */
export type AttachMode = 'auto' | 'xdp' | 'tc';

export const attachModes: readonly AttachMode[] = ['auto', 'xdp', 'tc'];

export interface InterfaceFacts {
  readonly name: string;
  readonly loopback: boolean;
  /** veth, bridge, bond, vlan ..., or '' for hardware. */
  readonly kind: string;
  readonly mtu: number;
  /** Offloads that are on and merge received packets: `rx-lro`, `rx-gro-hw`. */
  readonly merging: readonly string[];
  /** VLANs, macvlans and the like whose packets come by this interface. */
  readonly carries: readonly string[];
  /** What somebody else's XDP program is called; undefined without one. */
  readonly otherXdp: string | undefined;
}

export interface AttachChoice {
  /** `native`: where the driver refuses, tc does it alone. `forced`: then the kernel's generic XDP. */
  readonly xdp: 'none' | 'native' | 'forced';
  /** Half a sentence: `veth: its other end sends segments that no card has cut`. */
  readonly reason: string;
}

/** Bytes of a packet that fit into a page beside what XDP (256) and the kernel (320) keep there, and a header with two VLAN tags. */
export const largestXdpMtu = 4096 - 256 - 320 - 22;

const kinds: ReadonlyMap<string, string> = new Map([
  ['veth', 'its other end sends segments that no card has cut, with checksums that nobody has computed'],
  ['bridge', 'XDP belongs to its ports'],
  ['bond', 'XDP belongs to its ports'],
  ['team', 'XDP belongs to its ports'],
  ['vlan', 'XDP belongs to the card below'],
  ['macvlan', 'XDP belongs to the card below'],
  ['macvtap', 'XDP belongs to the card below'],
  ['ipvlan', 'XDP belongs to the card below'],
  ['tun', 'its other end is a program, which may send segments that no card has cut'],
]);

export function chooseAttachment(facts: InterfaceFacts, mode: AttachMode): AttachChoice {
  const tc = (reason: string): AttachChoice => ({ xdp: 'none', reason });
  const { name, kind, mtu, merging, carries, otherXdp } = facts;
  if (facts.loopback) return tc('what programs on this host send is no frame of a wire');
  if (otherXdp !== undefined) return tc(`the XDP program ${otherXdp} of somebody else is there, and stays`);
  if (mode === 'tc') return tc('as asked for');
  if (mode === 'xdp') return { xdp: 'forced', reason: 'as asked for' };
  if (kind !== '') return tc(`${kind}: ${kinds.get(kind) ?? 'it is no network card'}`);
  if (merging.length > 0)
    return tc(`${merging.join(', ')} merges packets as they come; for XDP: ${switchOff(name, merging)}`);
  if (carries.length > 0)
    return tc(`it carries ${carries.join(', ')}, and XDP cannot see a VLAN tag that the card took off`);
  if (mtu > largestXdpMtu) return tc(`MTU ${mtu}: XDP takes packets of at most ${largestXdpMtu} bytes`);
  return { xdp: 'native', reason: 'a network card' };
}

function switchOff(name: string, merging: readonly string[]): string {
  return `ethtool -K ${name} ${merging.map((feature) => `${feature} off`).join(' ')}`;
}
