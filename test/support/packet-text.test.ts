/** The packets of all stories as bytes and back: the codec that judges the engines has to be right itself. */
import t from 'tap';
import { decode } from './packet-decode.ts';
import { encode } from './packet-encode.ts';
import type { PacketText } from './packet-text.ts';
import { readStories } from './story.ts';

t.test('a packet that was decoded is encoded to the same bytes', (t) => {
  const packets = readStories().flatMap(({ steps }) =>
    steps.flatMap((step) => ('in' in step ? [step.in.packet, ...step.out.map(({ packet }) => packet)] : [])),
  );
  const known = packets.filter((packet) => !JSON.stringify(packet).includes('"any"'));
  t.ok(known.length > 1000, `${known.length} packets`);
  for (const packet of known) {
    const bytes = encode(packet);
    const again = encode(decode(bytes));
    if (!Buffer.from(bytes).equals(again)) t.fail(JSON.stringify(packet));
  }
  t.end();
});

t.test('a reset as Linux sent it', (t) => {
  const wire = '4500002800004000400626690a0100640a0100020050c35200000000000003e950140000d3dd0000';
  const packet = decode(Buffer.from(wire, 'hex'));
  t.strictSame(packet, {
    src: '10.1.0.100',
    dst: '10.1.0.2',
    tcp: { sport: 80, dport: 50002, flags: 'RA', ack: 1001, window: 0 },
  });
  t.equal(Buffer.from(encode(packet)).toString('hex'), wire);
  t.end();
});

t.test('wrong checksums are told', (t) => {
  const packet: PacketText = { src: '10.1.0.2', dst: '10.1.0.100', tcp: { sport: 1, dport: 80, flags: 'S' } };
  const flip = (at: number): PacketText => {
    const bytes = encode(packet);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return decode(bytes);
  };
  t.strictSame(decode(encode(packet)), packet);
  t.match(flip(11).headerChecksum, /^0x/, 'of the IPv4 header');
  t.match(flip(36).tcp?.checksum, /^0x/, 'of the segment');
  t.match(flip(12).tcp?.checksum, /^0x/, 'of the pseudo-header');
  t.end();
});
