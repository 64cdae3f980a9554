/**
 * One side of connections whose frames are made by hand, past the host's own stack. Reads lines `FLAGS FROM COUNT
 * RATE`: sends a packet with these TCP flags for each of COUNT connections from number FROM on, so many a second, then
 * prints `done`.
 * usage: open-connections INTERFACE ROUTER-MAC client|server SERVER VIRTUAL PORT
 * Connection i comes from 10.64.0.0 + i / 8, port 32768 + i % 8.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { FrameSender } from '../test/support/frame-sender.ts';
import { ipv4, tcpFrameBytes, writeEthernet, writePacket } from '../test/support/frames.ts';

const [device = '', router = '', side = '', server = '', virtual = '', port = ''] = process.argv.slice(2);
const atOnce = 32;
const sender = new FrameSender(device, atOnce, tcpFrameBytes);
const mac = readFileSync(`/sys/class/net/${device}/address`, 'latin1').trim();
const near = { address: ipv4(virtual), port: Number(port) };
const behind = { address: ipv4(server), port: Number(port) };
for (let i = 0; i < atOnce; i++) writeEthernet(sender.frame(i), router, mac);

for await (const line of createInterface({ input: process.stdin })) {
  const [flags = 0, from = 0, count = 0, rate = 0] = line.split(' ').map(Number);
  send(flags, from, count, rate);
  process.stdout.write('done\n');
}

function send(flags: number, from: number, count: number, rate: number): void {
  const began = performance.now();
  for (let sent = 0; sent < count;) {
    if ((performance.now() - began) * rate < sent * 1000) continue;
    const some = Math.min(atOnce, count - sent);
    for (let i = 0; i < some; i++) {
      const client = clientOf(from + sent + i);
      if (side === 'client') writePacket(sender.frame(i), 'tcp', client, near, flags);
      else writePacket(sender.frame(i), 'tcp', behind, client, flags);
    }
    sender.send(0, some);
    sent += some;
  }
}

function clientOf(i: number): { readonly address: number; readonly port: number } {
  return { address: ipv4('10.64.0.0') + (i >> 3), port: 32_768 + (i & 7) };
}
