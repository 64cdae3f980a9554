/**
 * Sends the smallest packets there are from many sources, as fast as asked: UDP in 64-byte frames (60 and Ethernet's
 * checksum), or a SYN. Prints one JSON line: how many packets in how many seconds.
 * usage: flood INTERFACE ROUTER-MAC udp|syn FIRST-SOURCE SOURCES ADDRESS PORT RATE SECONDS
 * UDP comes from ports 10000 to 59999 of one address, then of the next; each SYN from an address of its own. RATE 0: as many as possible.
 */
import { readFileSync } from 'node:fs';
import { FrameSender } from '../../support/frame-sender.ts';
import { ipv4, SYN, tcpFrameBytes, writeEthernet, writePacket } from '../../support/frames.ts';

const [
  device = '',
  router = '',
  kind = '',
  first = '',
  sources = '1',
  address = '',
  port = '',
  rate = '0',
  time = '1',
] = process.argv.slice(2);
const ports = 50_000;
const mostAtOnce = 32;

const sender = new FrameSender(device, Number(sources), kind === 'syn' ? tcpFrameBytes : 60);
const mac = readFileSync(`/sys/class/net/${device}/address`, 'latin1').trim();
const to = { address: ipv4(address), port: Number(port) };
for (let i = 0; i < sender.count; i++) {
  // A SYN flood comes from a new address each time, a load on one client's many ports.
  const from =
    kind === 'syn'
      ? { address: ipv4(first) + i, port: 1024 + (Math.imul(i, 0x9e3779b1) >>> 17) }
      : { address: ipv4(first) + Math.floor(i / ports), port: 10_000 + (i % ports) };
  const frame = sender.frame(i);
  writeEthernet(frame, router, mac);
  writePacket(frame, kind === 'syn' ? 'tcp' : 'udp', from, to, SYN);
}

const perMillisecond = Number(rate) / 1000;
const end = Number(time) * 1000;
const began = performance.now();
let sent = 0;
let at = 0;
for (let now = 0; now < end; now = performance.now() - began) {
  const due = perMillisecond === 0 ? mostAtOnce : Math.floor(now * perMillisecond) - sent;
  const count = Math.min(due, mostAtOnce, sender.count - at);
  if (count <= 0) continue;
  sender.send(at, count);
  sent += count;
  at = (at + count) % sender.count;
}
process.stdout.write(`${JSON.stringify({ sent, seconds: (performance.now() - began) / 1000 })}\n`);
