/** What happens to the IP header and to size: fragments, MTU, TTL, TOS, options. */
import type { IpFields } from './place.ts';
import { connections, fragments, from } from './place.ts';
import type { Situation } from './situation.ts';
import { plainly, tunnel, open, ifNat } from './situation.ts';

export const sizeSituations: readonly Situation[] = [
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
];
