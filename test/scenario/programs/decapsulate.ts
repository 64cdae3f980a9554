/**
 * The end of a tunnel, for kernels without ipip, gre and gue: takes tunnelled packets off raw sockets (IP in IP, IPv6 in
 * IP, GRE) and a UDP port (GUE), and gives the packets in them to this host through the device decap0. With `finish` it
 * writes checksums that were left to a network card: a tunnel of the kernel knows which, a socket does not.
 * usage: decapsulate GUE-PORT finish|as-is
 */
import { createSocket } from 'node:dgram';
import { openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import koffi from 'koffi';
import { completeChecksum, hasPartialChecksum } from '../../../src/wire/checksum.ts';
import { IpPacket, Malformed } from '../../../src/wire/ip-packet.ts';

interface RawSocketModule {
  readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  createSocket(options: { addressFamily: number; protocol: number; bufferSize: number }): {
    on(event: 'message', listener: (packet: Buffer, source: string) => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    close(): void;
  };
}

const raw = createRequire(import.meta.url)('raw-socket') as RawSocketModule;

const [guePort = '6080', checksums = 'as-is'] = process.argv.slice(2);
const protocols = { ipip: 4, ip6ip: 41, gre: 47 } as const;
const TUNSETIFF = 0x400454ca;
const IFF_TUN_NO_PI = 0x1001;
const longest = 65_535;
const view = new IpPacket();

const tun = openTun('decap0');
for (const addressFamily of [raw.AddressFamily.IPv4, raw.AddressFamily.IPv6]) {
  for (const protocol of [protocols.ipip, protocols.ip6ip, protocols.gre]) {
    const socket = raw.createSocket({ addressFamily, protocol, bufferSize: longest });
    socket.on('error', fail);
    // one that nobody refers to becomes garbage, and is closed
    process.on('exit', () => {
      socket.close();
    });
    socket.on('message', (packet) => {
      // IPv6 raw sockets do not show the outer header.
      const outer = addressFamily === raw.AddressFamily.IPv4 ? (packet.readUInt8(0) & 15) * 4 : 0;
      const payload = packet.subarray(outer);
      deliver(protocol === protocols.gre ? payload.subarray(greLength(payload)) : payload);
    });
  }
}
const gue = createSocket({ type: 'udp6', ipv6Only: false });
gue.on('error', fail);
gue.on('message', (packet) => {
  deliver(packet.subarray(4 + (packet.readUInt8(0) & 31) * 4));
});
gue.bind(Number(guePort), () => {
  process.stdout.write('ready\n');
});

function deliver(inner: Buffer): void {
  const isIp = view.read(inner, 0, inner.length) === Malformed.none;
  if (checksums === 'finish' && isIp && hasPartialChecksum(view)) completeChecksum(view);
  writeSync(tun, inner);
}

/** RFC 2784 and 2890: four bytes, and four more each for checksum, key and sequence number. */
function greLength(header: Buffer): number {
  const flags = header.readUInt16BE(0);
  return [0x8000, 0x2000, 0x1000].reduce((length, flag) => length + ((flags & flag) === 0 ? 0 : 4), 4);
}

function openTun(name: string): number {
  const fd = openSync('/dev/net/tun', 'r+');
  // struct ifreq: a name of 16 bytes, then flags
  const request = Buffer.alloc(40);
  request.write(name, 'latin1');
  request.writeUInt16LE(IFF_TUN_NO_PI, 16);
  const ioctl = koffi.load('libc.so.6').func('int ioctl(int, unsigned long, void *)') as (
    fd: number,
    request: number,
    argument: Buffer,
  ) => number;
  if (ioctl(fd, TUNSETIFF, request) < 0) throw new Error(`TUNSETIFF ${name}: error ${koffi.errno()}`);
  return fd;
}

function fail(error: Error): never {
  throw error;
}
