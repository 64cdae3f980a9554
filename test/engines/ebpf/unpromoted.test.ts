/** Established connections that find no room in their table go on among the half-open ones; that is counted, and told. */
import t from 'tap';
import { Crowding } from '../../../src/engines/ebpf/crowding.ts';
import type { TableFill } from '../../../src/engines/engine.ts';
import { noObject } from '../../support/ebpf-director-supply.ts';
import { skip } from '../../support/ebpf-place.ts';
import { encode } from '../../support/packet-encode.ts';
import { EbpfStories } from '../../support/ebpf-story-subject.ts';
import { beginning, tell } from '../../support/story-runner.ts';
import type { Step, Story } from '../../support/story.ts';

const connections = 40;

function packet(src: string, dst: string, sport: number, flags: string): Step {
  const made = { src, dst, tcp: { sport, dport: 80, flags, seq: 1000, ...(flags === 'A' && { ack: 5001 }) } };
  return { in: { side: 'client', packet: made }, out: [{ to: 'rs2', packet: { ...made, ttl: 63 } }] };
}

function crowd(family: 4 | 6): Story {
  const [client, vip, server] =
    family === 4
      ? (['10.1.0.2', '10.1.0.100', '10.2.0.12'] as const)
      : (['2001:db8:1::2', '2001:db8:1::100', '2001:db8:2::12'] as const);
  const inTable = (address: string): string => (family === 4 ? `${address}:80` : `[${address}]:80`);
  const ports = Array.from({ length: connections }, (_, i) => 50000 + i);
  const packets = (...flags: readonly string[]): Step[] =>
    ports.flatMap((port) => flags.map((each) => packet(client, vip, port, each)));
  return {
    name: `IPv${family}`,
    about: '',
    source: '',
    limits: { connections: 4, halfOpen: 1024 },
    table: [`-A -t ${inTable(vip)} -s rr`, `-a -t ${inTable(vip)} -r ${inTable(server)} -g`],
    // the third packet tries again what the second could not
    steps: [...packets('S', 'A'), { wait: 1 }, ...packets('A')],
  };
}

t.test('each connection is counted once', { skip: skip || noObject }, async (t) => {
  const stories = new EbpfStories();
  t.teardown(() => {
    stories.close();
  });
  for (const kind of ['xdp', 'tc'] as const) {
    for (const family of [4, 6] as const) {
      const story = crowd(family);
      const subject = await stories.subject(story, kind, beginning);
      for (const { title, wanted, found } of await tell(story, subject)) t.strictSame(found, wanted, title);
      const tables = subject.tables();
      const [own, other] = [family, family === 4 ? 6 : 4].map((of) =>
        tables.find(({ family, table }) => family === of && table === 'connections'),
      );
      t.match(own, { unpromoted: connections - (own?.slots ?? 0), refused: 0 });
      t.match(other, { unpromoted: 0, refused: 0 });
    }
  }
});

t.test('clients with many ports each find room', { skip: skip || noObject }, async (t) => {
  const stories = new EbpfStories();
  t.teardown(() => {
    stories.close();
  });
  const story: Story = {
    name: 'many clients',
    about: '',
    source: '',
    limits: { connections: 2048, halfOpen: 4096 },
    table: ['-A -t 10.1.0.100:80 -s rr', '-a -t 10.1.0.100:80 -r 10.2.0.12 -m'],
    steps: [],
  };
  const subject = await stories.subject(story, 'xdp', beginning);
  const clients = 2048;
  for (let i = 0; i < clients; i++) {
    const client = { address: `10.64.0.${i >> 6}`, port: 1024 + (i & 63) };
    const forth = (flags: string, ack?: number): Uint8Array =>
      encode({
        src: client.address,
        dst: '10.1.0.100',
        tcp: { sport: client.port, dport: 80, flags, seq: 1000, ...(ack !== undefined && { ack }) },
      });
    const tcp = { sport: 80, dport: client.port, flags: 'SA', seq: 5000, ack: 1001 };
    subject.forward('client', forth('S'), beginning);
    subject.forward('server', encode({ src: '10.2.0.12', dst: client.address, tcp }), beginning);
    subject.forward('client', forth('A', 5001), beginning);
  }
  const table = subject.tables().find(({ family, table }) => family === 4 && table === 'connections');
  // one in ten thousand does not
  t.ok((table?.unpromoted ?? clients) < 10, `${table?.unpromoted} of ${clients}`);
  t.equal(table?.refused, 0);
  t.equal(subject.connections(beginning).filter(({ state }) => state === 'ESTABLISHED').length, clients);
});

t.test('what the log says of it, once a minute at most', (t) => {
  const tables = (unpromoted: number): readonly TableFill[] => [
    { family: 4, table: 'connections', used: 16, slots: 16, refused: 0, unpromoted },
    { family: 6, table: 'connections', used: 0, slots: 16, refused: 0, unpromoted: 1 },
  ];
  const crowding = new Crowding(tables(5));
  t.same(crowding.news(tables(5), 0), [], 'what an earlier daemon told of');
  t.match(crowding.news(tables(8), 5000), [/^3 established connections found no room.*--connections$/]);
  t.same(crowding.news(tables(12), 64_999), []);
  t.match(crowding.news(tables(12), 65_000), [/^4 established/]);
  t.same(crowding.news(tables(12), 200_000), [], 'it does not grow any more');
  t.end();
});
