/** What every forwarding method does with the same traffic: TCP, UDP, ICMP, fragments, TTL; in IPv4 and IPv6. */
import type { Addresses, IpFields, Script, Version } from './place.ts';
import {
  addresses,
  connections,
  endpoint,
  fragments,
  from,
  listing,
  quote,
  Talk,
  versions,
} from './place.ts';
import { encode } from '../support/packet-encode.ts';
import { guePort } from '../support/packet-text.ts';
import type { IcmpText, PacketText } from '../support/packet-text.ts';
import type { Step } from '../support/story.ts';

interface Method {
  readonly name: string;
  readonly words: string;
  readonly serverPort: number;
  /** Does the reply pass the director? */
  readonly nat: boolean;
  /** What the tunnel adds. */
  readonly overhead: number;
}

const methods: readonly Method[] = [
  { name: 'masq', words: '-m', serverPort: 80, nat: true, overhead: 0 },
  { name: 'masq-mapped', words: '-m', serverPort: 8080, nat: true, overhead: 0 },
  { name: 'gate', words: '-g', serverPort: 80, nat: false, overhead: 0 },
  { name: 'ipip', words: '-i', serverPort: 80, nat: false, overhead: 20 },
  { name: 'gue', words: '-i --tun-type gue --tun-port 6080', serverPort: 80, nat: false, overhead: 32 },
  {
    name: 'gue-csum',
    words: '-i --tun-type gue --tun-port 6080 --tun-csum',
    serverPort: 80,
    nat: false,
    overhead: 32,
  },
  { name: 'gre', words: '-i --tun-type gre', serverPort: 80, nat: false, overhead: 24 },
  { name: 'gre-csum', words: '-i --tun-type gre --tun-csum', serverPort: 80, nat: false, overhead: 28 },
];

/** One method in one family. */
interface Setting {
  readonly method: Method;
  readonly version: Version;
  readonly at: Addresses;
  readonly talk: Talk;
}

interface Situation {
  readonly name: string;
  readonly about: string;
  readonly protocol: 'tcp' | 'udp';
  /** For which methods it says something; by default for all. */
  readonly methods?: (method: Method) => boolean;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  readonly mtu?: number;
  readonly steps: (setting: Setting) => readonly Step[];
}

const mss = { options: '020405b4' };

const plainMethods = ['masq', 'masq-mapped', 'gate', 'ipip'];
const plainly = ({ name }: Method) => plainMethods.includes(name);
const nat = (method: Method) => method.nat;
const tunnel = ({ overhead }: Method) => overhead > 0;
/** One that maps nothing is as good as another. */
const anyone = ({ name }: Method) => name === 'masq';

function open({ talk, method }: Setting): Step[] {
  return [
    talk.tcp('S', { seq: 1000, ...mss }),
    ...(method.nat ? [talk.tcpBack('SA', { seq: 5000, ack: 1001, ...mss })] : []),
    talk.tcp('A', { seq: 1001, ack: 5001 }),
  ];
}

/** Steps that are there where replies pass the director. */
function ifNat({ method }: Setting, ...steps: readonly Step[]): readonly Step[] {
  return method.nat ? steps : [];
}

const tooBig = (version: Version) => (version === 'v4' ? 'fragmentation needed' : 'packet too big');

const situations: readonly Situation[] = [
  {
    name: 'tcp-client-closes-first',
    about: 'A connection is opened, carries data, and is closed by the client and then by the server.',
    protocol: 'tcp',
    steps: (setting) => {
      const { talk } = setting;
      return [
        ...open(setting),
        connections,
        talk.tcp('PA', { seq: 1001, ack: 5001, data: 'a question' }, { id: 4711 }),
        ...ifNat(setting, talk.tcpBack('PA', { seq: 5001, ack: 1011, data: 'an answer' }, { id: 815 })),
        listing,
        talk.tcp('FA', { seq: 1011, ack: 5010 }),
        connections,
        ...ifNat(setting, talk.tcpBack('FA', { seq: 5010, ack: 1012 }), connections),
        talk.tcp('A', { seq: 1012, ack: 5011 }),
        connections,
        listing,
      ];
    },
  },
  {
    name: 'tcp-server-closes-first',
    about: 'A connection is opened and closed by the server and then by the client.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => {
      const { talk } = setting;
      return [
        ...open(setting),
        ...ifNat(setting, talk.tcpBack('FA', { seq: 5001, ack: 1001 }), connections),
        talk.tcp('A', { seq: 1001, ack: 5002 }),
        connections,
        talk.tcp('FA', { seq: 1001, ack: 5002 }),
        connections,
        ...ifNat(setting, talk.tcpBack('A', { seq: 5002, ack: 1002 }), connections),
        listing,
      ];
    },
  },
  {
    name: 'tcp-client-resets',
    about: 'A connection is opened and reset by the client; a late packet follows.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => {
      const { talk } = setting;
      return [
        ...open(setting),
        talk.tcp('R', { seq: 1001 }),
        connections,
        listing,
        ...ifNat(setting, talk.tcpBack('A', { seq: 5001, ack: 1001 }), connections),
        talk.tcp('A', { seq: 1001, ack: 5001 }),
        connections,
      ];
    },
  },
  {
    name: 'tcp-server-resets',
    about: 'The real server answers one SYN with a reset, and resets another connection after it was opened.',
    protocol: 'tcp',
    methods: nat,
    steps: (setting) => [
      setting.talk.tcp('S', { seq: 1000 }),
      connections,
      setting.talk.tcpBack('RA', { ack: 1001, window: 0 }),
      connections,
      listing,
      setting.talk.tcp('S', { seq: 2000 }),
      setting.talk.tcpBack('SA', { seq: 7000, ack: 2001 }),
      connections,
      setting.talk.tcp('A', { seq: 2001, ack: 7001 }),
      setting.talk.tcpBack('R', { seq: 7001 }),
      connections,
    ],
  },
  {
    name: 'udp',
    about: 'Datagrams there and back, then one from another port.',
    protocol: 'udp',
    steps: (setting) => {
      const { talk, at, method } = setting;
      const other = new Talk(at.client, at.vip, at.server(1), {
        client: 50002,
        vip: 80,
        server: method.serverPort,
      });
      return [
        talk.udp('a question', {}, { id: 4711, df: false }),
        connections,
        ...ifNat(setting, talk.udpBack('an answer'), connections),
        talk.udp('', {}),
        other.udp('odd'),
        connections,
        listing,
      ];
    },
  },
  {
    name: 'udp-zero-checksum',
    about: 'Datagrams without a checksum, which IPv4 allows and IPv6 does not.',
    protocol: 'udp',
    methods: plainly,
    steps: (setting) => [
      setting.talk.udp('a question', { checksum: 'none' }),
      connections,
      setting.talk.udp('another question'),
      ...ifNat(setting, setting.talk.udpBack('an answer', { checksum: 'none' })),
    ],
  },
  {
    name: 'udp-checksum-ffff',
    about: 'A datagram whose checksum comes out as zero after the rewriting is sent with ffff.',
    protocol: 'udp',
    methods: nat,
    steps: (setting) => {
      const { talk, at, method } = setting;
      // The sum of all else is made what it takes by the two bytes of data.
      const reached: PacketText = {
        src: at.client,
        dst: at.server(1),
        udp: { ...talk.atServer, data: 'hex 0000' },
      };
      const left = Buffer.from(encode(reached)).readUInt16BE(setting.version === 'v4' ? 26 : 46);
      const data = `hex ${left.toString(16).padStart(4, '0')}`;
      return method.nat ? [talk.udp(data), connections] : [];
    },
  },
  {
    name: 'wrong-checksum-tcp',
    about:
      'Segments whose checksum is wrong: the first of a connection, a later one, and one from the server.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => [
      setting.talk.tcp('S', { seq: 1000, checksum: 'bad' }),
      connections,
      ...open(setting),
      setting.talk.tcp('FA', { seq: 1001, ack: 5001, checksum: 'bad' }),
      connections,
      ...ifNat(setting, setting.talk.tcpBack('FA', { seq: 5001, ack: 1001, checksum: 'bad' }), connections),
    ],
  },
  {
    name: 'wrong-checksum-udp',
    about: 'Datagrams whose checksum is wrong.',
    protocol: 'udp',
    methods: plainly,
    steps: (setting) => [
      setting.talk.udp('a question', { checksum: 'bad' }),
      connections,
      setting.talk.udp('a question'),
      ...ifNat(setting, setting.talk.udpBack('an answer', { checksum: 'bad' })),
      connections,
    ],
  },
  {
    name: 'icmp-unreachable-from-server',
    about:
      'The real server has nobody on that port and says so to the client. It quotes the packet as it got it.',
    protocol: 'udp',
    methods: nat,
    steps: ({ talk, version, method }) => {
      const about = {
        udp: { ...talk.atServer, data: 'a question' },
        ...(version === 'v4' ? { id: 4711 } : {}),
      };
      return [
        talk.udp('a question', {}, { id: 4711 }),
        talk.icmpBack({ is: 'port unreachable' }, about),
        // A packet that this connection never saw, of a port that no connection has.
        talk.icmpBack(
          { is: 'port unreachable' },
          {
            udp: { sport: 50009, dport: method.serverPort, data: 'a question' },
          },
        ),
        connections,
      ];
    },
  },
  {
    name: 'icmp-too-big-from-server',
    about: 'The real server, and then a router before it, want smaller packets on a TCP connection.',
    protocol: 'tcp',
    methods: nat,
    steps: (setting) => {
      const { talk, version } = setting;
      const about = { tcp: { ...talk.atServer, flags: 'A', seq: 1001, ack: 5001, data: 'x*1400' } };
      const is = tooBig(version);
      const router = version === 'v4' ? '10.2.0.99' : '2001:db8:2::99';
      return [
        ...open(setting),
        talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1400' }),
        talk.icmpBack({ is, mtu: 1300 }, about),
        talk.icmpBack({ is, mtu: 1290 }, about, router),
        talk.icmpBack({ is: 'time exceeded' }, about, router),
        connections,
      ];
    },
  },
  {
    name: 'icmp-from-client',
    about:
      'The client has closed its port and says so, quoting a reply; and so does a router, quoting eight bytes of one.',
    protocol: 'udp',
    methods: plainly,
    steps: (setting) => {
      const { talk, at, version } = setting;
      const about = { udp: { ...talk.atClient, data: 'an answer' } };
      const gateway = version === 'v4' ? '10.1.0.254' : '2001:db8:1::fe';
      const cut = quote({ src: at.vip, dst: at.client, ttl: 63, ...about }, version === 'v4' ? 28 : 48);
      return [
        talk.udp('a question'),
        ...ifNat(setting, talk.udpBack('an answer')),
        talk.icmp({ is: 'port unreachable' }, about),
        from('client', {
          src: gateway,
          dst: at.vip,
          icmp: { is: version === 'v4' ? 'host unreachable' : 'no route', quotes: cut },
        }),
        connections,
        // About a reply of no connection.
        talk.icmp({ is: 'port unreachable' }, { udp: { sport: 80, dport: 50009, data: 'an answer' } }),
      ];
    },
  },
  {
    name: 'icmp-too-big-from-client',
    about: 'A router before the client wants smaller replies on a TCP connection.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => {
      const { talk, version } = setting;
      const about = { tcp: { ...talk.atClient, flags: 'A', seq: 5001, ack: 1001, data: 'y*1400' } };
      const gateway = version === 'v4' ? '10.1.0.254' : '2001:db8:1::fe';
      return [
        ...open(setting),
        ...ifNat(setting, talk.tcpBack('A', { seq: 5001, ack: 1001, data: 'y*1400' })),
        talk.icmp({ is: tooBig(version), mtu: 1300 }, about, gateway),
        talk.icmp({ is: 'time exceeded' }, about, gateway),
        talk.icmp({ is: 'parameter problem' }, about, gateway),
        connections,
      ];
    },
  },
  {
    name: 'echo-to-vip',
    about: 'A ping of the VIP is for the director itself, and so is an answer to a ping that nobody sent.',
    protocol: 'tcp',
    methods: ({ name }) => name === 'masq' || name === 'gate',
    steps: ({ talk }) => [
      from('client', talk.request({ icmp: { is: 'echo request', id: 7, seq: 1, data: 'ping' } })),
      from('client', talk.request({ icmp: { is: 'echo reply', id: 7, seq: 1, data: 'ping' } })),
      connections,
    ],
  },
  {
    name: 'echo-through-director',
    about: 'The director only routes a ping of a real server by a client, and its answer.',
    protocol: 'tcp',
    methods: anyone,
    steps: ({ at }) => [
      from('client', {
        src: at.client,
        dst: at.server(1),
        icmp: { is: 'echo request', id: 7, seq: 1, data: 'ping' },
      }),
      from('server', {
        src: at.server(1),
        dst: at.client,
        icmp: { is: 'echo reply', id: 7, seq: 1, data: 'ping' },
      }),
    ],
  },
  {
    name: 'fragments',
    about:
      'Datagrams of 3000 bytes in three fragments, there and back; the second one comes last piece first.',
    protocol: 'udp',
    methods: plainly,
    steps: (setting) => {
      const { talk } = setting;
      const up = (id: number) => talk.request({ udp: { ...talk.atVip, data: 'q*3000' }, id });
      const down = talk.reply({ udp: { ...talk.atReply, data: 'a*3000' }, id: 7 });
      return [
        ...fragments(up(5), 1500).map((piece) => from('client', piece)),
        connections,
        ...ifNat(setting, ...fragments(down, 1500).map((piece) => from('server', piece))),
        ...[...fragments(up(6), 1500)].reverse().map((piece) => from('client', piece)),
        connections,
      ];
    },
  },
  {
    name: 'small-fragments',
    about: 'A datagram of 1200 bytes in fragments of at most 600: what leaves the director.',
    protocol: 'udp',
    methods: plainly,
    steps: (setting) => {
      const { talk } = setting;
      const up = talk.request({ udp: { ...talk.atVip, data: 'q*1200' }, id: 5 });
      const down = talk.reply({ udp: { ...talk.atReply, data: 'a*1200' }, id: 7 });
      return [
        ...fragments(up, 600).map((piece) => from('client', piece)),
        ...ifNat(setting, ...fragments(down, 600).map((piece) => from('server', piece))),
      ];
    },
  },
  {
    name: 'over-mtu',
    about:
      'Segments of exactly the MTU, and one byte more than fits with the tunnel header; IPv4: may not be fragmented.',
    protocol: 'tcp',
    methods: tunnel,
    steps: (setting) => {
      const { talk, version, method } = setting;
      const header = version === 'v4' ? 40 : 60;
      const outer = method.overhead + (version === 'v4' ? 0 : 20);
      const room = 1500 - header - outer;
      return [
        ...open(setting),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room}` }, { id: 11 }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room + 1}` }, { id: 12 }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${1500 - header}` }, { id: 13 }),
        connections,
      ];
    },
  },
  {
    name: 'over-mtu-fragmented',
    about:
      'Segments of exactly the MTU, and one byte more than fits with the tunnel header, which may be fragmented.',
    protocol: 'tcp',
    methods: tunnel,
    versions: ['v4'],
    steps: (setting) => {
      const { talk, method } = setting;
      const room = 1460 - method.overhead;
      return [
        ...open(setting),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room}` }, { id: 11, df: false }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room + 1}` }, { id: 12, df: false }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1460' }, { id: 13, df: false }),
      ];
    },
  },
  {
    name: 'pmtu-disc-off',
    about: 'With pmtu_disc=0 a tunnel fragments what may not be fragmented.',
    protocol: 'tcp',
    methods: ({ name }) => name === 'ipip' || name === 'gue' || name === 'gre',
    sysctl: { pmtu_disc: 0 },
    steps: (setting) => [
      ...open(setting),
      setting.talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1400' }, { id: 11 }),
      setting.talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1440' }, { id: 12 }),
    ],
  },
  {
    name: 'small-mtu',
    about:
      'The way to the real server takes 1400 bytes: a larger segment, which may not and which may be fragmented.',
    protocol: 'tcp',
    methods: plainly,
    mtu: 1400,
    steps: (setting) => {
      const { talk, version } = setting;
      const room = version === 'v4' ? 1360 : 1340;
      return [
        ...open(setting),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room}` }, { id: 11 }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: `x*${room + 1}` }, { id: 12 }),
        talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1440' }, { id: 13, df: false }),
      ];
    },
  },
  {
    name: 'icmp-about-tunnel',
    about:
      'A router on the way to the real server writes to the director about the tunnel packet: too big, then unreachable.',
    protocol: 'tcp',
    methods: tunnel,
    steps: (setting) => {
      const { talk, at, version, method } = setting;
      const inner = talk.request(
        { tcp: { ...talk.atVip, flags: 'A', seq: 1001, ack: 5001, data: 'x*1400' } },
        { ttl: 63 },
      );
      const outer: PacketText = { src: at.back, dst: at.server(1), ttl: 63, ...wrapped(method, inner) };
      const router = version === 'v4' ? '10.2.0.99' : '2001:db8:2::99';
      const about = (icmp: IcmpText) =>
        from('server', { src: router, dst: at.back, icmp: { ...icmp, quotes: quote(outer) } });
      const segment = talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1400' });
      return [
        ...open(setting),
        segment,
        about({ is: version === 'v4' ? 'host unreachable' : 'address unreachable' }),
        about({ is: 'port unreachable' }),
        about({ is: 'time exceeded' }),
        about({ is: tooBig(version), mtu: 1400 }),
        segment,
        connections,
      ];
    },
  },
  {
    name: 'ttl',
    about: 'Packets that have 1, 2 and 255 hops left.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => {
      const { talk } = setting;
      const answer = { seq: 5000, ack: 1001 };
      return [
        talk.tcp('S', { seq: 1000 }, { ttl: 1 }),
        connections,
        talk.tcp('S', { seq: 1000 }, { ttl: 2 }),
        ...ifNat(
          setting,
          talk.tcpBack('SA', answer, { ttl: 1 }),
          connections,
          talk.tcpBack('SA', answer, { ttl: 2 }),
        ),
        talk.tcp('A', { seq: 1001, ack: 5001 }, { ttl: 255 }),
        talk.tcp('FA', { seq: 1001, ack: 5001 }, { ttl: 1 }),
        connections,
      ];
    },
  },
  {
    name: 'tos',
    about: 'The TOS byte stays: low delay, expedited forwarding, and every congestion mark.',
    protocol: 'tcp',
    steps: (setting) => {
      const { talk } = setting;
      return [
        talk.tcp('S', { seq: 1000 }, { tos: 0x10 }),
        ...ifNat(setting, talk.tcpBack('SA', { seq: 5000, ack: 1001 }, { tos: 0x08 })),
        ...[0xb8, 1, 2, 3].map((tos) => talk.tcp('A', { seq: 1001, ack: 5001 }, { tos })),
      ];
    },
  },
  {
    name: 'ip-options',
    // Not the state in IPv6: the kernel takes the flags from where they would be without the hop-by-hop header.
    about: 'IPv4 options (no operation, router alert), a hop-by-hop header in IPv6: they stay.',
    protocol: 'tcp',
    methods: plainly,
    steps: (setting) => {
      const { talk, version } = setting;
      const some: IpFields[] =
        version === 'v4'
          ? [{ options: '01010100' }, { options: '94040000' }]
          : [{ hopByHop: '00050200000100' }, { hopByHop: '00010400000000' }];
      return [
        ...some.map((ip) => talk.tcp('S', { seq: 1000 }, ip)),
        ...(version === 'v4' ? [connections] : []),
        ...ifNat(setting, ...some.map((ip) => talk.tcpBack('SA', { seq: 5000, ack: 1001 }, ip))),
      ];
    },
  },
  {
    name: 'tcp-options-and-urgent',
    about: 'TCP options, urgent data, unusual flags of an open connection: all as they came.',
    protocol: 'tcp',
    methods: ({ name }) => name === 'masq' || name === 'masq-mapped',
    versions: ['v4'],
    steps: (setting) => {
      const { talk } = setting;
      const stamps = '0101080a0000000100000002';
      return [
        talk.tcp('SEC', {
          seq: 1000,
          options: '020405b40402080a00000001000000000103 0307'.replaceAll(' ', ''),
        }),
        talk.tcpBack('SAE', { seq: 5000, ack: 1001, options: stamps }),
        talk.tcp('AU', { seq: 1001, ack: 5001, urgent: 1, data: '!', options: stamps }),
        talk.tcp('PAE', { seq: 1002, ack: 5001, window: 0, data: 'an odd number', options: stamps }),
        talk.tcpBack('A', {
          seq: 5001,
          ack: 1015,
          window: 65535,
          options: `${stamps}0101050a000003ea000003eb`,
        }),
        connections,
      ];
    },
  },
];

/** What stands around the inner packet on its way through the tunnel. */
function wrapped(method: Method, packet: PacketText): Partial<PacketText> {
  if (method.name.startsWith('gue')) {
    const header = packet.src.includes(':') ? '00290000' : '00040000';
    const checksum = method.name === 'gue' ? { checksum: 'none' } : {};
    return { gue: { sport: 40000, dport: guePort, ...checksum, header, packet } };
  }
  if (method.name.startsWith('gre')) {
    return { gre: { ...(method.name === 'gre' ? {} : { checksum: 'ok' }), packet } };
  }
  return { ipip: packet };
}

function script(situation: Situation, method: Method, version: Version): Script {
  const at = addresses[version];
  const vip = endpoint(at.vip, 80);
  const server = endpoint(at.server(1), method.serverPort);
  const letter = situation.protocol === 'tcp' ? '-t' : '-u';
  const talk = new Talk(at.client, at.vip, at.server(1), {
    client: 50001,
    vip: 80,
    server: method.serverPort,
  });
  const setting = { method, version, at, talk };
  return {
    name: `${method.name}-${situation.name}-${version}`,
    about: situation.about,
    ...(situation.sysctl === undefined ? {} : { sysctl: situation.sysctl }),
    ...(situation.mtu === undefined ? {} : { mtu: situation.mtu }),
    table: [`-A ${letter} ${vip} -s rr`, `-a ${letter} ${vip} -r ${server} ${method.words}`],
    steps: situation.steps(setting),
  };
}

export const methodScripts: readonly Script[] = situations.flatMap((situation) =>
  methods
    .filter((method) => situation.methods?.(method) ?? true)
    .flatMap((method) =>
      (situation.versions ?? versions).map((version) => script(situation, method, version)),
    ),
);
