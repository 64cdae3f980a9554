/**
 * What people try with a director: to pass for it, to have it send more than they sent, to make it forget its connections. Told to the
 * packet engine's forwarder; the addresses are those of the packet stories.
 */
import t from 'tap';
import { decode } from '../../support/packet-decode.ts';
import { encode } from '../../support/packet-encode.ts';
import type { PacketText } from '../../support/packet-text.ts';
import { beginning } from '../../support/story-runner.ts';
import type { Subject } from '../../support/story-subject.ts';
import { createSubject } from '../../support/story-subject.ts';
import type { Story } from '../../support/story.ts';
import { FloodLab, floodKinds } from '../../support/fuzz/flood.ts';
import { extensionHeader, fragmentsWithHeaders } from '../../support/fuzz/pieces.ts';

const nat = ['-A -t 10.1.0.100:80 -s rr', '-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m'];

function director(table: readonly string[], more: Partial<Story> = {}): Promise<Subject> {
  return createSubject({ name: '', about: '', source: '', table, steps: [], ...more }, beginning);
}

const syn = (src: string, sport = 50001, dst = '10.1.0.100'): PacketText => ({
  src,
  dst,
  tcp: { sport, dport: 80, flags: 'S' },
});

t.test('nobody outside passes for this host, for a group, or for nobody', async (t) => {
  const table = ['-A -t 10.1.0.100:80 -s rr', '-a -t 10.1.0.100:80 -r 127.0.0.1:80 -m'];
  const six = ['-A -t [2001:db8:1::100]:80 -s rr', '-a -t [2001:db8:1::100]:80 -r [2001:db8:2::11]:80 -m'];
  const subject = await director([...table, ...six]);
  const impossible = [
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '10.1.0.1',
    '10.1.0.100',
  ];
  const impossible6 = ['::', '::1', 'ff02::1', '::ffff:10.1.0.2', '2001:db8:1::1', '2001:db8:1::100'];
  for (const packet of [
    ...impossible.map((src) => syn(src)),
    ...impossible6.map((src) => syn(src, 50001, '2001:db8:1::100')),
  ]) {
    const { verdict, out } = subject.forward('client', encode(packet), beginning);
    t.same([verdict, out], ['drop', []], packet.src);
  }
  t.same(subject.connections(beginning), []);
  const { verdict } = subject.forward('server', encode(syn('10.2.0.11', 80, '127.0.0.53')), beginning);
  t.equal(verdict, 'drop', 'nor does anybody reach the loopback interface');
});

t.test('nobody is told of an error about an error', async (t) => {
  const subject = await director(nat);
  subject.forward('client', encode(syn('10.1.0.2')), beginning);
  const quotes = { ...syn('10.1.0.2', 50001, '10.2.0.11'), ttl: 63 };
  const error: PacketText = { src: '10.2.0.11', dst: '10.1.0.2', icmp: { is: 'port unreachable', quotes } };
  t.equal(subject.forward('server', encode(error), beginning).out.length, 1, 'an error is sent on');
  t.same(
    subject.forward('server', encode({ ...error, ttl: 1 }), beginning).out,
    [],
    'and expires in silence',
  );
});

t.test('a large header in the first fragment alone is not sent again with each of many', async (t) => {
  const subject = await director([
    '-A -u [2001:db8:1::100]:53 -s rr',
    '-a -u [2001:db8:1::100]:53 -r [2001:db8:2::11]:53 -g',
  ]);
  const packet = encode({
    src: '2001:db8:1::2',
    dst: '2001:db8:1::100',
    udp: { sport: 1, dport: 53, data: 'x*60000' },
  });
  const fragments = fragmentsWithHeaders(packet, extensionHeader(1400));
  const count = (bytes: readonly Uint8Array[]) => bytes.reduce((sum, { length }) => sum + length, 0);
  const out = fragments.flatMap((bytes) => subject.forward('client', bytes, beginning).out);
  t.ok(count(out.map(({ packet }) => packet)) <= 2 * count(fragments));
});

t.test('an ACK does not make a connection that no server has answered', async (t) => {
  const subject = await director(nat, { limits: { connections: 64, halfOpen: 16 } });
  const at = (n: number) => `10.1.0.${n}`;
  const ack = (src: string): PacketText => ({ ...syn(src), tcp: { sport: 50001, dport: 80, flags: 'A' } });
  const answer = (dst: string): PacketText => ({
    src: '10.2.0.11',
    dst,
    tcp: { sport: 80, dport: 50001, flags: 'SA' },
  });
  subject.forward('client', encode(syn(at(2))), beginning);
  subject.forward('server', encode(answer(at(2))), beginning);
  subject.forward('client', encode(ack(at(2))), beginning);
  for (let n = 100; n < 200; n++) {
    if (n === 199) subject.forward('client', encode(ack(at(2))), beginning);
    for (const packet of [syn(at(n)), ack(at(n))]) subject.forward('client', encode(packet), beginning);
  }
  const rows = subject.connections(beginning);
  t.equal(rows.length, 17, 'they are half-open');
  t.ok(
    rows.some(({ client }) => client === at(2)),
    'and make room for those that a server answered',
  );
});

t.test(
  'a packet to another service of the same server does not take the replies of a connection away',
  async (t) => {
    const subject = await director([
      ...nat,
      '-A -t 10.1.0.101:80 -s rr',
      '-a -t 10.1.0.101:80 -r 10.2.0.11:80 -g',
    ]);
    subject.forward('client', encode(syn('10.1.0.2')), beginning);
    subject.forward('client', encode(syn('10.1.0.2', 50001, '10.1.0.101')), beginning);
    const reply: PacketText = {
      src: '10.2.0.11',
      dst: '10.1.0.2',
      tcp: { sport: 80, dport: 50001, flags: 'SA' },
    };
    const { out } = subject.forward('server', encode(reply), beginning);
    t.same(
      out.map(({ to, packet }) => [to, decode(packet).src]),
      [['client', '10.1.0.100']],
    );
  },
);

t.test('who does not know the address of a tunnel does not set its MTU', async (t) => {
  const subject = await director(['-A -t 10.1.0.100:80 -s rr', '-a -t 10.1.0.100:80 -r 10.2.0.11:80 -i']);
  const data: PacketText = {
    ...syn('10.1.0.2'),
    tcp: { sport: 50001, dport: 80, flags: 'A', data: 'x*1200' },
  };
  const error = (dst: string): PacketText => ({
    src: '198.51.100.66',
    dst: '10.2.0.1',
    icmp: { is: 'fragmentation needed', mtu: 600, quotes: { src: '10.2.0.1', dst, ipip: syn('10.1.0.2') } },
  });
  const sentOn = (): boolean => {
    const { out } = subject.forward('client', encode(data), beginning);
    return out.length === 1 && out[0]?.to === 'rs1';
  };
  subject.forward('client', encode(syn('10.1.0.2')), beginning);
  t.equal(subject.forward('client', encode(error('10.2.0.77')), beginning).verdict, 'pass');
  t.ok(sentOn());
  subject.forward('server', encode(error('10.2.0.11')), beginning);
  t.notOk(sentOn(), 'a router on the way does');
});

for (const kind of floodKinds) {
  t.test(`a flood: ${kind}`, (t) => {
    const options = { packets: 20_000, established: 300, rate: 100_000 };
    const lab = new FloodLab({ ...options, limit: 8192, halfOpen: 1024, capacity: 1024 });
    const { alive, newClient, connections, halfOpen, templates } = lab.run(kind);
    t.equal(alive, options.established, 'connections carry on both ways');
    if (kind !== 'udp twice') t.ok(newClient, 'and new ones are made');
    t.ok(connections <= 8192 && halfOpen <= 1024 && templates <= 8192, 'what it leaves is bounded');
    lab.settle();
    t.equal(lab.table.connections.size + lab.table.templates.size, 0, 'and runs out');
    t.end();
  });
}
