/**
 * Everybody who can send packets to the director, at their worst: clients, real servers that answer, routers that report errors, and
 * people who make packets up. What the director sent before is material for what it gets next.
 */
import { addressBytes } from '../../../src/util/ip.ts';
import type { Ends } from './forge.ts';
import { familyOf, icmp, ip, protocols, pseudoHeaderSum, put16, tcp, udp } from './forge.ts';
import { extensionChain, fragments, ipv4Options } from './pieces.ts';
import { corrupt, withSource } from './corruption.ts';
import { ownAddresses, virtual } from './place.ts';
import type { Random } from './random.ts';
import { servicePorts, servers } from './table-changes.ts';

export interface Hostile {
  readonly bytes: Uint8Array;
  /** Right in every field: what comes of it has to be right, too. */
  readonly intact: boolean;
}

interface Flow {
  readonly ends: Ends;
  readonly protocol: number;
  readonly from: number;
  readonly to: number;
}

/** Who cannot be the source of any packet: nobody, groups, everybody, loopback. */
const martians = [
  '127.0.0.1',
  '::1',
  '127.9.9.9',
  '0.0.0.0',
  '0.1.2.3',
  '224.0.0.1',
  '239.1.2.3',
  '255.255.255.255',
  '::',
  'ff02::1',
  '::ffff:10.1.0.5',
].map(addressBytes);
/** Nor of a packet from outside: this host itself. One that is a real server is taken for it. */
const ownSources = ownAddresses.filter((address) => !servers.includes(address)).map(addressBytes);
const impossibleSources = [...martians, ...ownSources];
/** Who is suspicious, but as far as anybody can tell possible. */
const oddSources = [...servers, '10.1.0.255', '10.2.0.255', '240.0.0.1', '203.0.113.9', 'fe80::1'].map(
  addressBytes,
);
const destinations = virtual.map(addressBytes);
const others = [
  '10.1.0.1',
  '10.2.0.11',
  '198.51.100.1',
  '127.0.0.1',
  '198.18.0.1',
  '224.0.0.5',
  '2001:db8:1::1',
  '::1',
  'ff02::2',
].map(addressBytes);

const SYN = 0x02;
const usualFlags = [SYN, 0x10, 0x10, 0x10, 0x18, 0x11, 0x04, 0x12];

const REMEMBERED = 256;
const LONGEST = 65535;
/** Of it, for headers. */
const ROOM = 140;
const empty = new Uint8Array(0);

/** @param own whether this host itself counts */
export function isImpossibleSource(packet: Uint8Array, own: boolean): boolean {
  const at = packet[0] !== undefined && packet[0] >> 4 === 4 ? [12, 16] : [8, 24];
  const source = packet.subarray(...(at as [number, number]));
  return (own ? impossibleSources : martians).some((address) => Buffer.compare(address, source) === 0);
}

export class Adversary {
  readonly #random: Random;
  readonly #flows: Flow[] = [];
  /** Packets of the director. */
  readonly #seen: Uint8Array[] = [];
  /** Fragments that are to follow. */
  readonly #waiting: Hostile[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The director sent this. Keeps a copy. */
  see(packet: Uint8Array): void {
    if (packet.length > 2000) return;
    if (this.#seen.length < REMEMBERED) this.#seen.push(packet.slice());
    else this.#seen[this.#random.below(REMEMBERED)] = packet.slice();
  }

  next(): Hostile {
    const random = this.#random;
    if (this.#waiting.length > 0 && !random.oneIn(4)) return this.#fragment();
    const made = this.#make();
    const turn = random.below(40);
    if (turn < 6) return { bytes: corrupt(random, made.bytes), intact: false };
    if (turn === 6) return { bytes: withSource(made.bytes, random.pick(impossibleSources)), intact: false };
    if (turn === 7) return { bytes: withSource(made.bytes, random.pick(oddSources)), intact: false };
    if (turn > 9) return made;
    this.#waiting.push(...fragments(random, made.bytes).map((bytes) => ({ bytes, intact: false })));
    return this.#waiting.length > 0 ? this.#fragment() : made;
  }

  #make(): Hostile {
    const random = this.#random;
    const turn = random.below(100);
    if (turn < 25) return intact(this.#packetOf(this.#newFlow(), SYN));
    if (turn < 50) return intact(this.#packetOf(this.#knownFlow()));
    if (turn < 75) return this.#answer();
    if (turn < 90) return this.#error();
    if (turn < 93) return this.#otherProtocol();
    if (turn < 95) return { bytes: corrupt(random, this.#seenPacket()), intact: false };
    const junk = random.bytes(random.below(200));
    if (junk.length > 0) junk[0] = random.pick([0x45, 0x46, 0x4f, 0x60, junk[0] ?? 0]);
    return { bytes: junk, intact: false };
  }

  #newFlow(): Flow {
    const random = this.#random;
    const destination = random.oneIn(20) ? random.pick(others) : random.pick(destinations);
    const flow = {
      ends: { source: this.#client(destination.length), destination },
      protocol: random.pick([protocols.tcp, protocols.udp]),
      from: random.oneIn(30) ? random.pick([0, 20, 21, 53, 80, 65535]) : 1024 + random.below(2000),
      to: random.oneIn(8) ? random.below(65536) : random.pick(servicePorts),
    };
    if (this.#flows.length < REMEMBERED) this.#flows.push(flow);
    else this.#flows[random.below(REMEMBERED)] = flow;
    return flow;
  }

  #knownFlow(): Flow {
    return this.#flows.length === 0 ? this.#newFlow() : this.#random.pick(this.#flows);
  }

  #client(length: number): Uint8Array {
    const random = this.#random;
    if (random.oneIn(40)) {
      const odd = oddSources.filter((address) => address.length === length);
      return random.pick(odd);
    }
    const near = length === 4 ? [10, 1, 0, 2 + random.below(60)] : [0x20, 1, 13, 184, 0, 1];
    const far = length === 4 ? [198, 51, 100, random.below(255)] : [0x20, 1, 13, 184, 0, 9];
    const address = new Uint8Array(length);
    address.set(random.oneIn(3) ? far : near);
    if (length === 16) address[15] = 2 + random.below(60);
    return address;
  }

  #packetOf({ ends, protocol, from, to }: Flow, likely = this.#random.pick(usualFlags)): Uint8Array {
    const random = this.#random;
    const data = this.#data();
    const flags = random.oneIn(6) ? random.below(256) : likely;
    const payload = protocol === protocols.tcp ? tcp(ends, from, to, flags, data) : udp(ends, from, to, data);
    const checksum = protocol === protocols.udp ? 6 : 16;
    if (checksum === 6 && familyOf(ends) === 4 && random.oneIn(10)) payload.fill(0, 6, 8);
    // what a sender on this machine leaves to hardware
    if (random.oneIn(20)) put16(payload, checksum, pseudoHeaderSum(ends, protocol, payload.length));
    return this.#wrap(ends, protocol, payload);
  }

  #data(): Uint8Array {
    const random = this.#random;
    const length = random.pick([0, 0, 1, 7, 8, 100, 1200, 1432, 1460, 1472]);
    if (random.oneIn(300)) return new Uint8Array(LONGEST - ROOM - random.below(60));
    if (random.oneIn(50)) return new Uint8Array(random.below(9000));
    if (random.oneIn(3)) return this.#sipMessage();
    return random.oneIn(4) && length < 200 ? random.bytes(length) : new Uint8Array(length);
  }

  /** One of a few calls, now and then cut. */
  #sipMessage(): Uint8Array {
    const random = this.#random;
    const callId = `${random.below(50)}@${random.pick(['a', 'b', ''])}`;
    const message = `ACK\r\n${random.pick(['Call-ID: ', 'i:', 'Call-ID:\r\n '])}${callId}\r\n\r\n`;
    return Buffer.from(random.oneIn(10) ? message.slice(0, random.below(message.length)) : message);
  }

  #wrap(ends: Ends, protocol: number, payload: Uint8Array): Uint8Array {
    const random = this.#random;
    const ofIpv4 = familyOf(ends) === 4;
    const odd = random.oneIn(20);
    return ip(ends, protocol, payload, {
      ttl: random.oneIn(20) ? random.below(3) : 64,
      trafficClass: random.oneIn(10) ? random.below(256) : 0,
      identification: random.below(65536),
      fragment: random.oneIn(3) ? 0 : 0x4000,
      ...(odd && ofIpv4 ? { options: ipv4Options(random) } : {}),
      ...(odd && !ofIpv4 ? { extensions: extensionChain(random, protocol) } : {}),
    });
  }

  /** Ends and ports of a packet of the director, the other way round. */
  #answer(): Hostile {
    const random = this.#random;
    const seen = endsOf(this.#seenPacket());
    if (seen === undefined) return intact(this.#packetOf(this.#newFlow()));
    const { ends, protocol, from, to } = seen;
    const back = reversed({ ends, protocol, from, to });
    return intact(this.#packetOf(random.oneIn(50) ? { ...back, to: random.below(65536) } : back));
  }

  /** An ICMP message about a packet of the director, or about nothing at all. */
  #error(): Hostile {
    const random = this.#random;
    const turn = random.below(10);
    const about =
      turn === 0
        ? this.#packetOf(this.#newFlow())
        : turn < 4
          ? this.#packetOf(reversed(this.#knownFlow()))
          : this.#seenPacket();
    const seen = endsOf(about);
    if (seen === undefined) return intact(this.#packetOf(this.#knownFlow()));
    const ends = {
      source: random.oneIn(3) ? this.#client(seen.ends.source.length) : seen.ends.destination,
      destination: random.oneIn(10) ? random.pick(destinations) : seen.ends.source,
    };
    if (ends.source.length !== ends.destination.length) return intact(this.#packetOf(this.#knownFlow()));
    const types = familyOf(ends) === 4 ? [3, 3, 3, 11, 4, 5, 12, 8, 0] : [1, 2, 2, 3, 4, 128, 129, 135];
    const type = random.oneIn(20) ? random.below(256) : random.pick(types);
    const rest = random.oneIn(5) ? random.word() : random.pick([0, 68, 552, 1000, 1280, 1400, 1500, 65535]);
    const quote = random.oneIn(8) ? corrupt(random, about) : about;
    const cut = quote.subarray(0, random.oneIn(3) ? random.below(quote.length + 1) : 548);
    const [protocol, message] = icmp(
      ends,
      type,
      random.oneIn(4) ? random.below(256) : random.below(6),
      rest,
      cut,
    );
    return intact(this.#wrap(ends, protocol, message));
  }

  #otherProtocol(): Hostile {
    const random = this.#random;
    const { ends } = this.#newFlow();
    const protocol = random.pick([
      protocols.ipip,
      protocols.ip6,
      protocols.gre,
      protocols.esp,
      132,
      2,
      255,
      0,
      44,
      59,
    ]);
    const content = random.oneIn(2) ? this.#seenPacket() : random.bytes(random.below(100));
    return { bytes: this.#wrap(ends, protocol, content), intact: false };
  }

  #seenPacket(): Uint8Array {
    return this.#seen.length === 0 ? empty : this.#random.pick(this.#seen);
  }

  #fragment(): Hostile {
    const random = this.#random;
    if (this.#waiting.length > 3000) this.#waiting.length = 0;
    const at = random.oneIn(3) ? random.below(this.#waiting.length) : 0;
    const [fragment] = this.#waiting.splice(at, 1);
    return fragment ?? intact(this.#packetOf(this.#newFlow()));
  }
}

function intact(bytes: Uint8Array): Hostile {
  return { bytes, intact: true };
}

function reversed({ ends, protocol, from, to }: Flow): Flow {
  return { ends: { source: ends.destination, destination: ends.source }, protocol, from: to, to: from };
}

/** Of a packet without options or extension headers. */
function endsOf(packet: Uint8Array): Flow | undefined {
  const ofIpv4 = (packet[0] ?? 0) >> 4 === 4;
  if (packet.length < (ofIpv4 ? 28 : 48)) return undefined;
  const protocol = packet[ofIpv4 ? 9 : 6] ?? 0;
  const [source, middle, end] = ofIpv4 ? [12, 16, 20] : [8, 24, 40];
  const view = new DataView(packet.buffer, packet.byteOffset);
  return {
    ends: { source: packet.slice(source, middle), destination: packet.slice(middle, end) },
    protocol: protocol === protocols.tcp ? protocol : protocols.udp,
    from: view.getUint16(end),
    to: view.getUint16(end + 2),
  };
}
