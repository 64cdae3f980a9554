/** Words for writing the scripts of stories: the addresses of the place, and packets between its hosts. */
import { decode } from '../support/packet-decode.ts';
import { encode } from '../support/packet-encode.ts';
import type { IcmpText, PacketText, TcpText, UdpText } from '../support/packet-text.ts';
import type { Side, Step, Story } from '../support/story.ts';

/** A story that nobody has told yet: what comes out and what is seen is empty. */
export type Script = Omit<Story, 'source'>;

export type Version = 'v4' | 'v6';
export const versions = ['v4', 'v6'] as const;

/** Addresses of one family. */
export interface Addresses {
  readonly client: string;
  readonly vip: string;
  /** The director's own, towards clients and towards servers. */
  readonly front: string;
  readonly back: string;
  /** A client beyond the gateway. */
  readonly far: string;
  /** Of a neighbour of the client: 2 to 9. */
  readonly neighbour: (number: number) => string;
  /** Of real server 1, 2 or 3. */
  readonly server: (number: number) => string;
}

export const addresses: Readonly<Record<Version, Addresses>> = {
  v4: {
    client: '10.1.0.2',
    vip: '10.1.0.100',
    front: '10.1.0.1',
    back: '10.2.0.1',
    far: '192.0.2.7',
    neighbour: (number) => `10.1.0.${number}`,
    server: (number) => `10.2.0.1${number}`,
  },
  v6: {
    client: '2001:db8:1::2',
    vip: '2001:db8:1::100',
    front: '2001:db8:1::1',
    back: '2001:db8:2::1',
    far: '2001:db8:7::7',
    neighbour: (number) => `2001:db8:1::${number}`,
    server: (number) => `2001:db8:2::1${number}`,
  },
};

/** `10.2.0.11:80`, `[2001:db8:2::11]:80` */
export function endpoint(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function from(side: Side, packet: PacketText): Step {
  return { in: { side, packet }, out: [] };
}

export const connections: Step = { connections: [] };
export const listing: Step = { listing: [] };
export const stats: Step = { stats: [] };
export const persistent: Step = { persistent: [] };

/** A few IP fields beside what a packet carries. */
export type IpFields = Omit<PacketText, 'src' | 'dst' | 'tcp' | 'udp' | 'icmp'>;

/** One client's conversation with the VIP, as the client and as the real server see it. */
export class Talk {
  readonly #client: string;
  readonly #vip: string;
  readonly #server: string;
  readonly #ports: { readonly client: number; readonly vip: number; readonly server: number };

  constructor(
    client: string,
    vip: string,
    server: string,
    ports: { readonly client: number; readonly vip: number; readonly server: number },
  ) {
    this.#client = client;
    this.#vip = vip;
    this.#server = server;
    this.#ports = ports;
  }

  tcp(flags: string, tcp: Partial<TcpText> = {}, ip: IpFields = {}): Step {
    return from('client', this.request({ tcp: { ...this.#up, flags, ...tcp } }, ip));
  }

  /** From the real server, as it leaves it when it is behind NAT. */
  tcpBack(flags: string, tcp: Partial<TcpText> = {}, ip: IpFields = {}): Step {
    return from('server', this.reply({ tcp: { ...this.#down, flags, ...tcp } }, ip));
  }

  udp(data: string, udp: Partial<UdpText> = {}, ip: IpFields = {}): Step {
    return from('client', this.request({ udp: { ...this.#up, data, ...udp } }, ip));
  }

  udpBack(data: string, udp: Partial<UdpText> = {}, ip: IpFields = {}): Step {
    return from('server', this.reply({ udp: { ...this.#down, data, ...udp } }, ip));
  }

  /** A packet from client to VIP. */
  request(content: Partial<PacketText>, ip: IpFields = {}): PacketText {
    return { src: this.#client, dst: this.#vip, ...plain(this.#vip, ip), ...content };
  }

  /** A packet from real server to client. */
  reply(content: Partial<PacketText>, ip: IpFields = {}): PacketText {
    return { src: this.#server, dst: this.#client, ...plain(this.#server, ip), ...content };
  }

  /** What the real server sends about the client's packet, as it got that: with its own address in it. */
  icmpBack(icmp: IcmpText, about: Partial<PacketText>, by = this.#server): Step {
    const packet = { src: this.#client, dst: this.#server, ttl: 63, ...about };
    return from('server', { src: by, dst: this.#client, icmp: { ...icmp, quotes: quote(packet) } });
  }

  /** What the client (or a router before it) sends about a reply, as it got that: from the VIP. */
  icmp(icmp: IcmpText, about: Partial<PacketText>, by = this.#client): Step {
    const packet = { src: this.#vip, dst: this.#client, ttl: 63, ...about };
    return from('client', { src: by, dst: this.#vip, icmp: { ...icmp, quotes: quote(packet) } });
  }

  get #up(): { sport: number; dport: number } {
    return { sport: this.#ports.client, dport: this.#ports.vip };
  }

  get #down(): { sport: number; dport: number } {
    return { sport: this.#ports.server, dport: this.#ports.client };
  }

  /** Header of a packet as the client sends it. */
  get atVip(): { sport: number; dport: number } {
    return this.#up;
  }

  /** Header of a reply as the real server sends it. */
  get atReply(): { sport: number; dport: number } {
    return this.#down;
  }

  /** Header of a packet as the real server gets it. */
  get atServer(): { sport: number; dport: number } {
    return { sport: this.#ports.client, dport: this.#ports.server };
  }

  /** Header of a reply as the client gets it. */
  get atClient(): { sport: number; dport: number } {
    return { sport: this.#ports.vip, dport: this.#ports.client };
  }
}

/** IPv6 has no identification outside of fragments, and always means "don't fragment". */
function plain(address: string, ip: IpFields): IpFields {
  if (!address.includes(':')) return ip;
  return Object.fromEntries(Object.entries(ip).filter(([name]) => name !== 'id' && name !== 'df'));
}

/** The packet as an ICMP error quotes it. @param bytes of it at most */
export function quote(packet: PacketText, bytes = 548): PacketText {
  return decode(encode(packet).subarray(0, bytes), true);
}

/** The packet in fragments of at most so many bytes each. */
export function fragments(packet: PacketText, mtu: number): readonly PacketText[] {
  const { id = 1, ...whole } = packet;
  const bytes = Buffer.from(encode(whole));
  const v6 = packet.src.includes(':');
  const headerLength = v6 ? 40 : ((bytes[0] ?? 0) & 15) * 4;
  const size = Math.floor((mtu - headerLength - (v6 ? 8 : 0)) / 8) * 8;
  const payload = bytes.subarray(headerLength);
  const { src, dst, ttl, tos } = packet;
  const ip = { src, dst, ...(ttl === undefined ? {} : { ttl }), ...(tos === undefined ? {} : { tos }), id };
  const protocol = bytes[v6 ? 6 : 9] ?? 0;
  return Array.from({ length: Math.ceil(payload.length / size) }, (_, i) => {
    const piece = payload.subarray(i * size, (i + 1) * size);
    const mf = (i + 1) * size < payload.length;
    const data = `hex ${piece.toString('hex')}`;
    return decode(
      encode({ ...ip, ...(v6 ? {} : { df: false }), mf, offset: i * size, protocol, payload: data }),
    );
  });
}
