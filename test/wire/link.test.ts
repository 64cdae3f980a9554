import t from 'tap';
import { ArpOperation, ArpPacket, writeArp } from '../../src/wire/arp.ts';
import { EthernetFrame, Ethertype, writeEthernet, writeTaggedEthernet } from '../../src/wire/ethernet.ts';
import { IpPacket } from '../../src/wire/ip-packet.ts';
import {
  multicastMac,
  NeighbourMessage,
  solicitedNode,
  writeAdvertisement,
  writeSolicitation,
} from '../../src/wire/neighbour-discovery.ts';
import { bytesOf, v4, v6, words } from './reference.ts';
import type { Packet } from './reference.ts';

const ours = Uint8Array.of(2, 0, 0, 0, 0, 1);
const theirs = Uint8Array.of(2, 0, 0, 0xaa, 0xbb, 0xcc);
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

t.test('Ethernet headers, with and without tag', (t) => {
  const bytes = new Uint8Array(64);
  writeEthernet(bytes, 1, theirs, ours, Ethertype.ipv4);
  t.same(bytes.slice(1, 15), hex('020000aabbcc 020000000001 0800'));
  const frame = new EthernetFrame();
  t.ok(frame.read(bytes, 1, 60));
  t.match(frame, { ethertype: 0x0800, vlan: -1, payload: 15 });
  const mac = new Uint8Array(8);
  frame.copySource(mac, 1);
  t.same(mac.slice(1, 7), ours);
  frame.copyDestination(mac, 2);
  t.same(mac.slice(2), theirs);
  t.equal(writeTaggedEthernet(bytes, 0, theirs, ours, 100, Ethertype.ipv6), 18);
  t.same(bytes.slice(0, 18), hex('020000aabbcc 020000000001 8100 0064 86dd'));
  bytes[14] = 0xe0;
  t.ok(frame.read(bytes, 0, 18));
  t.match(frame, { ethertype: 0x86dd, vlan: 100, payload: 18 }, 'the priority is no part of the VLAN');
  t.notOk(frame.read(bytes, 0, 17), 'half a tag');
  t.notOk(frame.read(bytes, 0, 13), 'half a header');
  t.end();
});

t.test('ARP', (t) => {
  const bytes = new Uint8Array(40);
  const [sender = 0] = words(v4.vip);
  const [target = 0] = words(v4.server);
  t.equal(writeArp(bytes, 3, ArpOperation.request, ours, sender, new Uint8Array(6), target), 28);
  t.same(bytes.slice(3, 31), hex('0001 0800 06 04 0001 020000000001 c0000250 000000000000 0a09ff01'));
  const packet = new ArpPacket();
  t.ok(packet.read(bytes, 3, 28));
  t.match(packet, { operation: ArpOperation.request, sender, target });
  const mac = new Uint8Array(6);
  packet.copySenderMac(mac, 0);
  t.same(mac, ours);
  t.notOk(packet.read(bytes, 3, 27));
  for (const at of [1, 3, 4, 5, 7]) {
    const wrong = bytes.slice(3, 31);
    wrong[at] = 9;
    t.notOk(packet.read(wrong, 0, 28), `byte ${at}`);
  }
  t.end();
});

const group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0x99];
const solicitation: Packet = {
  family: 6,
  source: v6.vip,
  destination: group,
  protocol: 58,
  ttl: 255,
  segment: [135, 0, 0, 0, 0, 0, 0, 0, ...v6.server, 1, 1, ...ours],
};
const advertisement: Packet = {
  family: 6,
  source: v6.server,
  destination: v6.vip,
  protocol: 58,
  ttl: 255,
  segment: [136, 0, 0, 0, 0x60, 0, 0, 0, ...v6.server, 2, 1, ...theirs],
};

t.test('neighbour solicitations and advertisements as they are written', (t) => {
  const destination = new Int32Array(4);
  solicitedNode(words(v6.server), destination);
  t.same(destination, words(group));
  const mac = new Uint8Array(6);
  multicastMac(destination, mac, 0);
  t.same(mac, hex('3333ff000099'));
  const bytes = new Uint8Array(100);
  t.equal(writeSolicitation(bytes, 5, words(v6.vip), ours, destination, words(v6.server)), 72);
  t.same(bytes.slice(5, 77), bytesOf(solicitation));
  t.equal(writeAdvertisement(bytes, 5, words(v6.server), theirs, words(v6.vip), words(v6.server), true), 72);
  t.same(bytes.slice(5, 77), bytesOf(advertisement));
  t.end();
});

function readMessage(bytes: Uint8Array): NeighbourMessage | undefined {
  const packet = new IpPacket();
  if (packet.read(bytes, 0, bytes.length) !== 0) return undefined;
  const message = new NeighbourMessage();
  return message.read(packet) ? message : undefined;
}

t.test('and as they are read', (t) => {
  const asked = readMessage(bytesOf(solicitation));
  t.match(asked, { kind: 'solicitation', target: words(v6.server), source: words(v6.vip), solicited: false });
  const told = readMessage(bytesOf(advertisement));
  t.match(told, { kind: 'advertisement', router: false, solicited: true, override: true });
  const mac = new Uint8Array(6);
  told?.copyLinkAddress(mac, 0);
  t.same(mac, theirs);
  const { segment } = advertisement;
  const plain = readMessage(bytesOf({ ...advertisement, segment: segment.slice(0, 24) }));
  t.equal(plain?.linkAddress, -1, 'an advertisement need not say it');
  const other = readMessage(
    bytesOf({
      ...advertisement,
      segment: [...segment.slice(0, 24), 14, 1, 0, 0, 0, 0, 0, 0, 2, 1, ...theirs],
    }),
  );
  t.equal(other?.linkAddress, 40 + 34, 'behind another option');
  const refused: readonly [string, Uint8Array][] = [
    ['from beyond the link', bytesOf({ ...advertisement, ttl: 254 })],
    ['code 1', bytesOf({ ...advertisement, segment: segment.with(1, 1) })],
    ['a wrong checksum', bytesOf(advertisement, segment)],
    ['about a multicast address', bytesOf({ ...advertisement, segment: segment.with(8, 0xff) })],
    ['half a target', bytesOf({ ...advertisement, segment: segment.slice(0, 23) })],
    ['an option of length 0', bytesOf({ ...advertisement, segment: segment.with(25, 0) })],
    ['an option beyond the packet', bytesOf({ ...advertisement, segment: segment.with(25, 2) })],
    ['another message', bytesOf({ ...advertisement, segment: segment.with(0, 134) })],
    ['over IPv4', bytesOf({ ...advertisement, family: 4, source: v4.client, destination: v4.vip })],
  ];
  for (const [name, bytes] of refused) t.equal(readMessage(bytes), undefined, name);
  t.end();
});
