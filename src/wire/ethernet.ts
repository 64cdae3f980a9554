/** Ethernet II frames and their 802.1Q tag. */
import { copyBytes, read16, write16 } from './bytes.ts';

export const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;

export const Ethertype = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const;

/** A view of one frame, made once and reused. */
export class EthernetFrame {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;
  /** Of what the frame carries, behind the tag. */
  ethertype = 0;
  /** VLAN id of an 802.1Q tag, or -1. Id 0 is a priority tag: no VLAN. */
  vlan = -1;
  /** Offset in bytes of what the frame carries. */
  payload = 0;

  /**
   * @param available bytes from `at` on
   * @returns false when there is no whole header; the fields are only right when it is true
   */
  read(bytes: Uint8Array, at: number, available: number): boolean {
    if (available < ETHERNET_HEADER) return false;
    const type = read16(bytes, at + 12);
    const tagged = type === Ethertype.vlan;
    if (tagged && available < ETHERNET_HEADER + VLAN_TAG) return false;
    this.bytes = bytes;
    this.at = at;
    this.vlan = tagged ? read16(bytes, at + 14) & 0xfff : -1;
    this.ethertype = tagged ? read16(bytes, at + 16) : type;
    this.payload = at + ETHERNET_HEADER + (tagged ? VLAN_TAG : 0);
    return true;
  }

  /** Six bytes, into `into` from `to` on. */
  copyDestination(into: Uint8Array, to: number): void {
    copyBytes(this.bytes, this.at, 6, into, to);
  }

  copySource(into: Uint8Array, to: number): void {
    copyBytes(this.bytes, this.at + 6, 6, into, to);
  }
}

/** Writes the 14 bytes of a header without tag. @param destination, source six bytes each */
export function writeEthernet(
  into: Uint8Array,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  ethertype: number,
): void {
  copyBytes(destination, 0, 6, into, at);
  copyBytes(source, 0, 6, into, at + 6);
  write16(into, at + 12, ethertype);
}

/** The 802.1Q tag between the addresses and the type. @returns bytes of the header: 18 */
export function writeTaggedEthernet(
  into: Uint8Array,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  vlan: number,
  ethertype: number,
): number {
  writeEthernet(into, at, destination, source, Ethertype.vlan);
  write16(into, at + 14, vlan & 0xfff);
  write16(into, at + 16, ethertype);
  return ETHERNET_HEADER + VLAN_TAG;
}
