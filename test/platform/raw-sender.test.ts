import t from 'tap';
import { captureFilter } from '../../src/engines/packet/capture/capture-filter.ts';
import { openCapture } from '../../src/platform/capture.ts';
import type { Capture } from '../../src/platform/capture.ts';
import { openRawSender } from '../../src/platform/raw-sender.ts';
import { addressBytes } from '../../src/util/ip.ts';
import { until } from '../support/until.ts';
import { enterOwnNetwork, ip, skip, wire } from './own-network.ts';

if (skip === false) {
  enterOwnNetwork();
  wire('plain', 'plain-end');
  wire('marked', 'marked-end');
  for (const [link, net] of [
    ['plain', 1],
    ['marked', 2],
  ] as const) {
    const end = /link\/ether (\S+)/.exec(ip(`link show ${link}-end`))?.[1] ?? '';
    ip(`addr add 10.0.${net}.1/24 dev ${link}`);
    ip(`addr add 2001:db8:${net}::1/64 dev ${link} nodad`);
    ip(`neigh add 10.0.${net}.2 lladdr ${end} dev ${link}`);
    ip(`neigh add 2001:db8:${net}::2 lladdr ${end} dev ${link}`);
  }
  ip('route add 203.0.113.0/24 via 10.0.1.2');
  ip('route add 203.0.113.0/24 via 10.0.2.2 table 7');
  ip('rule add fwmark 7 table 7');
  ip('route add 2001:db8:9::/48 via 2001:db8:1::2');
}

const client = '203.0.113.5';
const client6 = '2001:db8:9::5';

/** Frames towards the client that leave by a link. */
function leaving(link: string): Capture & { readonly frames: Buffer[] } {
  const frames: Buffer[] = [];
  const capture = openCapture(
    `${link}-end`,
    { ringBytes: 1 << 20 },
    { frame: (buffer, length) => frames.push(Buffer.from(buffer.subarray(0, length))) },
  );
  capture.setFilter(captureFilter({ virtual: [client, client6], servers: [], own: [] }));
  return { ...capture, frames };
}

/** A UDP packet of a virtual address that this host does not own, two bytes into its buffer. */
function reply(length = 48): Buffer {
  const buffer = Buffer.alloc(2 + length);
  buffer.set([0x45, 0x10, length >> 8, length & 0xff, 0x12, 0x34, 0x40, 0, 61, 17, 0, 0], 2);
  buffer.set([...addressBytes('198.51.100.1'), ...addressBytes(client)], 2 + 12);
  buffer.fill('payload', 2 + 28);
  return buffer;
}

t.test('a packet leaves with the header that it has', { skip }, async (t) => {
  const link = leaving('plain');
  const sender = openRawSender(4, 0);
  const packet = reply();
  t.equal(sender.send(packet, 2, 48, client), undefined);
  await until(() => link.frames.length > 0);
  const sent = link.frames[0]?.subarray(14) ?? Buffer.alloc(0);
  t.same(sent.subarray(0, 10), packet.subarray(2, 12), 'identification, TOS, TTL and all');
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += sent.readUInt16BE(i);
  t.equal((sum & 0xffff) + (sum >> 16), 0xffff, 'the kernel completes the header checksum');
  t.same(sent.subarray(12), packet.subarray(14));
  sender.close();
  link.close();
});

t.test('a mark chooses another route', { skip }, async (t) => {
  const [plain, marked] = [leaving('plain'), leaving('marked')];
  const sender = openRawSender(4, 7);
  sender.send(reply(), 2, 48, client);
  await until(() => marked.frames.length > 0);
  t.equal(plain.frames.length, 0);
  for (const part of [sender, plain, marked]) part.close();
});

t.test('IPv6 with its whole header', { skip }, async (t) => {
  const link = leaving('plain');
  const sender = openRawSender(6, 0);
  const packet = Buffer.alloc(48);
  packet.set([0x62, 0x30, 0, 9, 0, 8, 17, 60]);
  packet.set([...addressBytes('2001:db8:100::1'), ...addressBytes(client6)], 8);
  packet.set([0, 80, 0, 99, 0, 8, 0xab, 0xcd], 40);
  t.equal(sender.send(packet, 0, 48, client6), undefined);
  await until(() => link.frames.length > 0);
  t.same(link.frames[0]?.subarray(14, 62), packet);
  sender.close();
  link.close();
});

t.test('a refusal is a sentence', { skip }, (t) => {
  const sender = openRawSender(4, 0);
  t.equal(sender.send(reply(), 2, 48, '192.0.2.1'), 'Network is unreachable');
  t.equal(sender.send(reply(1501), 2, 1501, client), 'Message too long', 'never fragmented');
  t.equal(sender.send(reply(), 4, 48, client), 'the packet is longer than its buffer');
  sender.close();
  sender.close();
  t.equal(sender.send(reply(), 2, 48, client), 'the raw socket is closed');
  t.end();
});
