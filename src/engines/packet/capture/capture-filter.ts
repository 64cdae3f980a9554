/**
 * The socket filter of a capture: which frames of an interface the packet engine gets to see at all. A frame that it
 * rejects costs the kernel some nanoseconds and this program nothing, so it is as narrow as the table allows.
 */
import type { Address, Family } from '../../../util/ip.ts';
import { addressBytes, familyOf } from '../../../util/ip.ts';
import type { Label } from './bpf-program.ts';
import { Bpf, BpfProgram, mostInstructions } from './bpf-program.ts';

export interface FilterSpec {
  /** Virtual addresses: packets to them. */
  readonly virtual: readonly Address[];
  /** Real servers: packets from them, unless they are for this host itself. */
  readonly servers: readonly Address[];
  /** This host's addresses. One that is virtual too counts as virtual. */
  readonly own: readonly Address[];
}

export interface FilterOptions {
  /** `raw`: frames begin with the IP header. Default `ethernet`. */
  readonly link?: 'ethernet' | 'raw';
  /** Firewall mark of packets that are not wanted: those that this program itself sent. */
  readonly notMarked?: number;
  /** Longest program that will do, in instructions; see Capture.filterRoom. Default what any kernel takes. */
  readonly room?: number;
}

/** Fits an optmem_max of 20480 twice (the kernel holds the old filter and the new one), even when every instruction
 * becomes two of the kernel's own. */
const anyKernel = 600;

/** Addresses among which a program that fits is looked for: more would fit only if they were neighbours, and looking takes milliseconds. */
export const mostAddresses = 2048;

/** Whole frames: more than libpcap's snapshot length. */
const keep = 0x40000;

/** Loads at these offsets ask about the packet, not its bytes (SKF_AD_OFF). */
const about = {
  protocol: -0x1000,
  packetType: -0x1000 + 4,
  mark: -0x1000 + 20,
  vlanTag: -0x1000 + 44,
  vlanPresent: -0x1000 + 48,
};
const packetType = { host: 0, broadcast: 1, multicast: 2 };
const etherType = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd };
const icmp = 1;
const icmpv6 = 58;
const fragmentOffsetBits = 0x1fff;
const vlanIdBits = 0xfff;

/** Offsets in the IP header. */
const ipv4 = { fragment: 6, protocol: 9, source: 12, destination: 16 };
const ipv6 = { nextHeader: 6, source: 8, destination: 24, payload: 40 };

const icmpErrors = [3, 4, 5, 11, 12];
const icmpv6Errors = [1, 2, 3, 4];
const neighbourMessages = [135, 136];

/**
 * Accepts only frames to this host's link address without a VLAN tag (their VLAN interface gets those), so neither what
 * this host sends nor what promiscuous mode brings, that are: ARP; neighbour solicitations and advertisements; IP packets
 * to a virtual address; IP packets from a real server to another host; ICMP errors (any router may send one about a
 * forwarded packet). ARP and neighbour messages also by broadcast and multicast.
 * With more addresses than fit: all IP packets to this host's link address.
 * @returns struct sock_filter[]
 */
export function captureFilter(spec: FilterSpec | 'any', options: FilterOptions = {}): Uint8Array {
  const room = Math.min(options.room ?? anyKernel, mostInstructions);
  const base = options.link === 'raw' ? 0 : 14;
  const { notMarked } = options;
  const few = spec !== 'any' && spec.virtual.length + spec.servers.length <= mostAddresses;
  const exact = few ? build(base, spec, notMarked) : undefined;
  return (exact !== undefined && exact.length <= room ? exact : build(base, undefined, notMarked)).bytes();
}

/** @param spec undefined: any address */
function build(base: number, spec: FilterSpec | undefined, notMarked: number | undefined): BpfProgram {
  const program = new BpfProgram();
  const reject = program.return(0);
  const accept = program.return(keep);

  const neighbours = icmpv6Types(program, base, neighbourMessages, accept, reject);
  const group = byProtocol(program, { ipv4: reject, ipv6: neighbours, arp: accept }, reject);

  const toHost =
    spec === undefined
      ? { ipv4: accept, ipv6: accept, arp: accept }
      : {
          ipv4: toHostIpv4(program, base, spec, accept, reject),
          ipv6: toHostIpv6(program, base, spec, accept, reject),
          arp: accept,
        };
  const host = untagged(program, byProtocol(program, toHost, reject), reject);
  const groupUntagged = untagged(program, group, reject);

  const multicast = program.branch(Bpf.jumpEqual, packetType.multicast, groupUntagged, reject);
  const broadcast = program.branch(Bpf.jumpEqual, packetType.broadcast, groupUntagged, multicast);
  program.branch(Bpf.jumpEqual, packetType.host, host, broadcast);
  const wanted = program.put(Bpf.loadWord, about.packetType);
  if (notMarked !== undefined) {
    program.branch(Bpf.jumpEqual, notMarked, reject, wanted);
    program.put(Bpf.loadWord, about.mark);
  }
  return program;
}

/** A tag with VLAN 0 only carries a priority: the frame belongs to this interface. */
function untagged(program: BpfProgram, next: Label, reject: Label): Label {
  const then = program.goTo(next);
  program.branch(Bpf.jumpBitsSet, vlanIdBits, reject, then);
  const tag = program.put(Bpf.loadHalf, about.vlanTag);
  program.branch(Bpf.jumpEqual, 0, then, tag);
  return program.put(Bpf.loadByte, about.vlanPresent);
}

function byProtocol(
  program: BpfProgram,
  to: { readonly ipv4: Label; readonly ipv6: Label; readonly arp: Label },
  otherwise: Label,
): Label {
  const arp = program.branch(Bpf.jumpEqual, etherType.arp, to.arp, otherwise);
  const sixth = program.branch(Bpf.jumpEqual, etherType.ipv6, to.ipv6, arp);
  program.branch(Bpf.jumpEqual, etherType.ipv4, to.ipv4, sixth);
  return program.put(Bpf.loadHalf, about.protocol);
}

function toHostIpv4(
  program: BpfProgram,
  base: number,
  spec: FilterSpec,
  accept: Label,
  reject: Label,
): Label {
  program.goTo(oneOf(program, icmpErrors, accept, reject));
  program.put(Bpf.loadByteIndexed, base);
  const icmpType = program.put(Bpf.loadHeaderLength, base);
  const firstFragment = program.branch(Bpf.jumpBitsSet, fragmentOffsetBits, reject, icmpType);
  program.goTo(firstFragment);
  const unfragmented = program.put(Bpf.loadHalf, base + ipv4.fragment);
  program.branch(Bpf.jumpEqual, icmp, unfragmented, reject);
  const errors = program.put(Bpf.loadByte, base + ipv4.protocol);
  return byAddress(program, 'inet', spec, base + ipv4.source, base + ipv4.destination, accept, errors);
}

function toHostIpv6(
  program: BpfProgram,
  base: number,
  spec: FilterSpec,
  accept: Label,
  reject: Label,
): Label {
  const messages = icmpv6Types(program, base, [...icmpv6Errors, ...neighbourMessages], accept, reject);
  return byAddress(program, 'inet6', spec, base + ipv6.source, base + ipv6.destination, accept, messages);
}

function byAddress(
  program: BpfProgram,
  family: Family,
  spec: FilterSpec,
  source: number,
  destination: number,
  accept: Label,
  otherwise: Label,
): Label {
  const words = (addresses: readonly Address[], label: Label): Match[] =>
    addresses
      .filter((address) => familyOf(address) === family)
      .map((address) => ({ words: wordsOf(address), label }));
  const servers = addressTree(program, words(spec.servers, accept), source, 0, otherwise);
  const destinations = [...words(spec.own, otherwise), ...words(spec.virtual, accept)];
  return addressTree(program, destinations, destination, 0, servers);
}

/** ICMPv6 without extension headers before it, of one of the types. */
function icmpv6Types(
  program: BpfProgram,
  base: number,
  types: readonly number[],
  accept: Label,
  reject: Label,
): Label {
  program.goTo(oneOf(program, types, accept, reject));
  const type = program.put(Bpf.loadByte, base + ipv6.payload);
  program.branch(Bpf.jumpEqual, icmpv6, type, reject);
  return program.put(Bpf.loadByte, base + ipv6.nextHeader);
}

function oneOf(program: BpfProgram, values: readonly number[], yes: Label, no: Label): Label {
  return values.reduceRight((next, value) => program.branch(Bpf.jumpEqual, value, yes, next), no);
}

interface Match {
  /** 32 bits each, unsigned: one of IPv4, four of IPv6. */
  readonly words: readonly number[];
  readonly label: Label;
}

function wordsOf(address: Address): readonly number[] {
  const bytes = addressBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i));
}

/** From `start` on, as far as the next step: go to `label`. */
interface Step {
  readonly start: number;
  readonly label: Label;
}

/**
 * Looks an address up, word by word, by binary search. Of equal addresses the last one counts.
 * @returns the label that the address's word number `word` leads to
 */
function addressTree(
  program: BpfProgram,
  matches: readonly Match[],
  offset: number,
  word: number,
  otherwise: Label,
): Label {
  if (matches.length === 0) return otherwise;
  const groups = new Map<number, Match[]>();
  for (const match of matches) {
    const value = match.words[word] ?? 0;
    const group = groups.get(value);
    if (group === undefined) groups.set(value, [match]);
    else group.push(match);
  }
  const steps: Step[] = [{ start: 0, label: otherwise }];
  for (const start of [...groups.keys()].sort((a, b) => a - b)) {
    const group = groups.get(start) ?? [];
    const last = group.at(-1);
    const label =
      last === undefined || word + 1 === last.words.length
        ? (last?.label ?? otherwise)
        : addressTree(program, group, offset, word + 1, otherwise);
    // Neighbouring addresses with one answer become one range.
    if (steps.at(-1)?.start === start) steps.pop();
    if (steps.at(-1)?.label !== label) steps.push({ start, label });
    if (start < 0xffffffff) steps.push({ start: start + 1, label: otherwise });
  }
  program.goTo(search(program, steps));
  return program.put(Bpf.loadWord, offset + 4 * word);
}

function search(program: BpfProgram, steps: readonly Step[]): Label {
  const half = steps.length >> 1;
  const middle = steps[half];
  if (middle === undefined) throw new RangeError('a search needs a step');
  if (half === 0) return middle.label;
  const above = search(program, steps.slice(half));
  const below = search(program, steps.slice(0, half));
  return program.branch(Bpf.jumpGreaterOrEqual, middle.start, above, below);
}
