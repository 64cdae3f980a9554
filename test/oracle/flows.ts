/** What happens to connections and datagrams: opened, closed, reset; checksums. */
import { encode } from '../support/packet-encode.ts';
import type { PacketText } from '../support/packet-text.ts';
import { connections, listing, Talk } from './place.ts';
import type { Situation } from './situation.ts';
import { plainly, nat, open, ifNat } from './situation.ts';

export const flowSituations: readonly Situation[] = [
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
