/** Packets that are not the beginning, the middle or the end of a connection; local servers; counters. */
import type { PacketText } from '../support/packet-text.ts';
import type { Step } from '../support/story.ts';
import { datagram, syn } from './persistence.ts';
import type { Addresses, Script, Version } from './place.ts';
import { addresses, connections, endpoint, from, listing, quote, stats, Talk, versions } from './place.ts';

interface Setting {
  readonly at: Addresses;
  readonly version: Version;
  readonly vip: string;
  readonly talk: Talk;
  /** A TCP packet of the client. */
  readonly tcp: (port: number, flags: string, dport?: number) => Step;
}

interface Part {
  readonly name: string;
  readonly about: string;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  /** The director's own stack has nobody on these ports; its resets would end the connections. */
  readonly silent?: true;
  /** By default TCP and UDP at port 80, with server 1 behind NAT. */
  readonly table?: (setting: Setting) => readonly string[];
  readonly steps: (setting: Setting) => readonly Step[];
}

function usual({ at, vip }: Setting, method = '-m'): string[] {
  return ['-t', '-u'].flatMap((letter) => [
    `-A ${letter} ${vip} -s rr`,
    `-a ${letter} ${vip} -r ${endpoint(at.server(1), 80)} ${method}`,
  ]);
}

/** Every way to begin that is not a SYN. */
function beginnings({ tcp }: Setting): Step[] {
  const flags = ['A', 'SA', 'SF', 'SR', 'R', 'RA', 'F', 'FA', 'PA', '', 'FPU', 'SPA', 'FSRPAU'];
  return [...flags.map((letters, i) => tcp(50001 + i, letters)), connections];
}

const parts: readonly Part[] = [
  {
    name: 'first-packets',
    about: 'Packets other than a SYN that no connection expects, each from a port of its own.',
    steps: beginnings,
  },
  {
    name: 'first-packets-gate',
    about: 'Packets other than a SYN that no connection expects, with direct routing.',
    versions: ['v4'],
    table: (setting) => usual(setting, '-g'),
    steps: beginnings,
  },
  {
    name: 'first-packets-sloppy',
    about: 'With sloppy_tcp=1 anything but a reset begins a connection.',
    sysctl: { sloppy_tcp: 1 },
    steps: beginnings,
  },
  {
    name: 'flags-of-a-connection',
    about: 'Unusual flags in an open connection, and the states they lead to.',
    versions: ['v4'],
    steps: (setting) => {
      const { talk } = setting;
      const open = [
        talk.tcp('S', { seq: 1000 }),
        talk.tcpBack('SA', { seq: 5000, ack: 1001 }),
        talk.tcp('A', { seq: 1001, ack: 5001 }),
      ];
      return ['', 'U', 'P', 'SA', 'FR', 'SF'].flatMap((flags) => [
        ...open,
        talk.tcp(flags, { seq: 1001, ack: 5001 }),
        connections,
        talk.tcpBack(flags, { seq: 5001, ack: 1001 }),
        connections,
      ]);
    },
  },
  {
    name: 'source-port-20',
    about: 'A SYN from port 20, where active FTP data comes from, is not scheduled.',
    steps: ({ tcp }) => [tcp(20, 'S'), connections, tcp(21, 'S'), connections],
  },
  {
    name: 'syn-with-data',
    about: 'A SYN that carries data, and a second SYN of the same connection.',
    versions: ['v4'],
    steps: ({ talk }) => [
      talk.tcp('S', { seq: 1000, data: 'early' }),
      talk.tcp('S', { seq: 1000, data: 'early' }),
      connections,
      talk.tcpBack('SA', { seq: 5000, ack: 1006 }),
      talk.tcp('S', { seq: 1000, data: 'early' }),
      connections,
    ],
  },
  {
    name: 'no-service',
    about:
      'Packets to ports and protocols of the VIP that have no service, and to the other addresses of the director.',
    steps: ({ at, tcp }) => [
      tcp(50001, 'S', 81),
      datagram(at.client, at.vip, 50001, 81),
      from('client', {
        src: at.client,
        dst: at.front,
        tcp: { sport: 50001, dport: 80, flags: 'S', seq: 1000 },
      }),
      from('client', {
        src: at.client,
        dst: at.server(1),
        tcp: { sport: 50001, dport: 80, flags: 'S', seq: 1000 },
      }),
      from('server', {
        src: at.server(1),
        dst: at.client,
        tcp: { sport: 80, dport: 50001, flags: 'SA', seq: 5000, ack: 1001 },
      }),
      connections,
    ],
  },
  {
    name: 'cut-headers',
    about:
      'Packets that are too short for their header, or say that they are longer or shorter than they are.',
    versions: ['v4'],
    steps: ({ at }) => {
      const packet = (content: Partial<PacketText>): Step =>
        from('client', { src: at.client, dst: at.vip, ...content });
      return [
        packet({ protocol: 6, payload: 'hex c3510050000003e8' }),
        packet({ protocol: 6, payload: 'hex c3510050000003e80000000050' }),
        packet({ protocol: 17, payload: 'hex c3510050' }),
        packet({ headerChecksum: 'bad', tcp: { sport: 50005, dport: 80, flags: 'S' } }),
        packet({ protocol: 1, payload: 'hex 03030000' }),
        connections,
      ];
    },
  },
  {
    name: 'cut-quotes',
    about:
      'ICMP errors that quote too little of a packet, or one with a wrong checksum, or a fragment that is not the first.',
    versions: ['v4'],
    steps: ({ at, talk }) => {
      const about: PacketText = {
        src: at.vip,
        dst: at.client,
        ttl: 63,
        udp: { ...talk.atClient, data: 'an answer' },
      };
      const error = (bytes: string, checksum?: string): Step =>
        from('client', {
          src: at.client,
          dst: at.vip,
          icmp: {
            is: 'port unreachable',
            data: `hex ${bytes}`,
            ...(checksum === undefined ? {} : { checksum }),
          },
        });
      const ip = '4500002500004000 3f11 0000 0a010064 0a010002'.replaceAll(' ', '');
      return [
        datagram(at.client, at.vip, 50001),
        error(ip),
        error(`${ip}0050`),
        error(ip.slice(0, 24)),
        from('client', {
          src: at.client,
          dst: at.vip,
          icmp: { is: 'port unreachable', quotes: quote(about, 28) },
        }),
        from('client', {
          src: at.client,
          dst: at.vip,
          icmp: { is: 'port unreachable', checksum: 'bad', quotes: quote(about) },
        }),
        from('client', {
          src: at.client,
          dst: at.vip,
          icmp: {
            is: 'port unreachable',
            quotes: { src: at.vip, dst: at.client, df: false, offset: 1480, protocol: 17, payload: 'q*100' },
          },
        }),
        connections,
      ];
    },
  },
  {
    name: 'source-route',
    about: 'Packets that want to choose their way are lost.',
    versions: ['v4'],
    steps: ({ talk }) => [
      talk.tcp('S', { seq: 1000 }, { options: '8307080a02000b00' }),
      talk.tcp('S', { seq: 1000 }, { options: '8307040a02000b00' }),
      talk.tcp('S', { seq: 1000 }, { options: '8907040a02000b00' }),
      connections,
    ],
  },
  {
    name: 'unknown-replies',
    about: 'What a real server sends that belongs to no connection is only routed.',
    steps: (setting) => unknownReplies(setting),
  },
  {
    name: 'unknown-replies-told',
    about: 'With nat_icmp_send=1 a real server is told that nobody waits for what it sends.',
    sysctl: { nat_icmp_send: 1 },
    steps: (setting) => unknownReplies(setting),
  },
  {
    name: 'local-gate',
    silent: true,
    about: 'A server that is the director itself, by direct routing: the packet goes to the stack as it is.',
    table: ({ vip, version }) => [
      `-A -t ${vip} -s rr`,
      `-a -t ${vip} -r ${endpoint(version === 'v4' ? '127.0.0.1' : '::1', 80)} -g`,
    ],
    steps: ({ tcp }) => [tcp(50001, 'S'), connections, tcp(50001, 'A'), listing, connections],
  },
  {
    name: 'local-masq-loopback',
    silent: true,
    about: 'NAT of a client to the loopback address: nothing arrives.',
    table: ({ vip, version }) => [
      `-A -t ${vip} -s rr`,
      `-a -t ${vip} -r ${endpoint(version === 'v4' ? '127.0.0.1' : '::1', 8080)} -m`,
    ],
    steps: ({ tcp }) => [tcp(50001, 'S'), connections, tcp(50001, 'A'), listing],
  },
  {
    name: 'local-masq',
    silent: true,
    about: 'NAT to an address of the director: the stack gets the packet with the new address and port.',
    table: ({ vip, at }) => [`-A -t ${vip} -s rr`, `-a -t ${vip} -r ${endpoint(at.back, 8080)} -m`],
    steps: ({ tcp }) => [tcp(50001, 'S'), connections, listing],
  },
  {
    name: 'local-ipip',
    silent: true,
    about: 'A tunnel to an address of the director: the packet goes to the stack as it is.',
    table: ({ vip, at }) => [`-A -t ${vip} -s rr`, `-a -t ${vip} -r ${endpoint(at.back, 80)} -i`],
    steps: ({ tcp }) => [tcp(50001, 'S'), connections, listing],
  },
  {
    name: 'far-client',
    about: 'Clients beyond the gateway: replies and errors go there.',
    steps: ({ at }) => [
      from('client', {
        src: at.far,
        dst: at.vip,
        ttl: 50,
        tcp: { sport: 50001, dport: 80, flags: 'S', seq: 1000 },
      }),
      from('server', {
        src: at.server(1),
        dst: at.far,
        tcp: { sport: 80, dport: 50001, flags: 'SA', seq: 5000, ack: 1001 },
      }),
      from('client', {
        src: at.far,
        dst: at.vip,
        ttl: 1,
        tcp: { sport: 50001, dport: 80, flags: 'A', seq: 1001 },
      }),
      connections,
    ],
  },
  {
    name: 'far-server',
    about: 'A real server beyond the gateway, with NAT and with a tunnel; direct routing cannot reach it.',
    table: ({ vip, at }) => [
      `-A -t ${vip} -s rr`,
      ...['-g', '-i', '-m'].map(
        (method, i) => `-a -t ${vip} -r ${endpoint(at.far.replace(/7$/, String(i + 1)), 80)} ${method}`,
      ),
    ],
    steps: ({ tcp }) => [tcp(50001, 'S'), tcp(50002, 'S'), tcp(50003, 'S'), connections],
  },
  {
    name: 'mixed-families',
    about: 'Clients of one family, a real server of the other: only a tunnel can do that.',
    table: ({ vip, version, at }) => [
      `-A -t ${vip} -s rr`,
      `-a -t ${vip} -r ${endpoint(addresses[version === 'v4' ? 'v6' : 'v4'].server(1), 80)} -i`,
      `-a -t ${vip} -r ${endpoint(addresses[version === 'v4' ? 'v6' : 'v4'].server(2), 80)} -i --tun-type gue --tun-port 6080`,
      `-a -t ${vip} -r ${endpoint(addresses[version === 'v4' ? 'v6' : 'v4'].server(3), 80)} -i --tun-type gre`,
      `-a -t ${vip} -r ${endpoint(at.server(1), 80)} -m`,
    ],
    steps: ({ at, tcp }) => [
      ...[50001, 50002, 50003, 50004].map((port) => tcp(port, 'S')),
      ...[1400, 1420, 1440].map((size) =>
        from('client', {
          src: at.client,
          dst: at.vip,
          tcp: { sport: 50004, dport: 80, flags: 'A', seq: 1001, data: `x*${size}` },
        }),
      ),
      connections,
      listing,
    ],
  },
  {
    name: 'counters-masq',
    about:
      'What the counters count with NAT: connections, packets and bytes of both directions, ICMP errors, refusals.',
    steps: (setting) => {
      const { talk } = setting;
      const about = { udp: { ...talk.atServer, data: 'a question' } };
      return counters(setting, talk.icmpBack({ is: 'port unreachable' }, about));
    },
  },
  {
    name: 'counters-gate',
    about: 'What the counters count with direct routing.',
    table: (setting) => usual(setting, '-g'),
    steps: (setting) => counters(setting),
  },
  {
    name: 'counters-ipip',
    about: 'What the counters count with a tunnel.',
    table: (setting) => usual(setting, '-i'),
    steps: (setting) => counters(setting),
  },
  {
    name: 'counters-zeroed',
    about: 'Counters are set to zero, of one service and of all.',
    versions: ['v4'],
    steps: ({ at, vip }) => [
      syn(at.client, at.vip, 50001),
      datagram(at.client, at.vip, 50001),
      { wait: 2.5 },
      stats,
      { ipvsadm: `-Z -t ${vip}` },
      stats,
      syn(at.client, at.vip, 50002),
      { wait: 2.5 },
      stats,
      { ipvsadm: '-Z' },
      stats,
    ],
  },
];

function unknownReplies({ at, talk }: Setting): Step[] {
  const server = (port: number, content: Partial<PacketText>) =>
    from('server', { src: at.server(port), dst: at.client, ...content });
  const about = quote({
    src: at.client,
    dst: at.server(1),
    ttl: 63,
    udp: { ...talk.atServer, data: 'a question' },
  });
  return [
    server(1, { tcp: { sport: 80, dport: 50001, flags: 'A', seq: 5000, ack: 1001 } }),
    server(1, { tcp: { sport: 80, dport: 50001, flags: 'RA', seq: 5000, ack: 1001 } }),
    server(1, { tcp: { sport: 81, dport: 50001, flags: 'A', seq: 5000, ack: 1001 } }),
    server(2, { tcp: { sport: 80, dport: 50001, flags: 'A', seq: 5000, ack: 1001 } }),
    server(1, { udp: { sport: 80, dport: 50001, data: 'an answer' } }),
    server(1, { icmp: { is: 'port unreachable', quotes: about } }),
    server(1, { icmp: { is: 'echo request', id: 1, seq: 1, data: 'ping' } }),
    connections,
  ];
}

function counters({ at, talk, tcp }: Setting, ...extra: readonly Step[]): Step[] {
  return [
    talk.tcp('S', { seq: 1000 }),
    talk.tcpBack('SA', { seq: 5000, ack: 1001 }),
    talk.tcp('A', { seq: 1001, ack: 5001, data: 'x*1000' }),
    talk.tcpBack('A', { seq: 5001, ack: 2001, data: 'y*500' }),
    datagram(at.client, at.vip, 50001),
    talk.icmp({ is: 'port unreachable' }, { udp: { ...talk.atClient, data: 'an answer' } }),
    ...extra,
    talk.tcp('A', { seq: 2001, ack: 5501 }, { ttl: 1 }),
    tcp(50002, 'A'),
    tcp(50003, 'S', 81),
    { wait: 2.5 },
    stats,
    listing,
  ];
}

const noResets = '-t mangle -A OUTPUT -p tcp --tcp-flags RST RST -j DROP';

export const oddityScripts: readonly Script[] = parts.flatMap((part) =>
  (part.versions ?? versions).map((version) => {
    const at = addresses[version];
    const setting: Setting = {
      at,
      version,
      vip: endpoint(at.vip, 80),
      talk: new Talk(at.client, at.vip, at.server(1), { client: 50001, vip: 80, server: 80 }),
      tcp: (port, flags, dport = 80) =>
        from('client', { src: at.client, dst: at.vip, tcp: { sport: port, dport, flags, seq: 1000 } }),
    };
    return {
      name: `${part.name}-${version}`,
      about: part.about,
      ...(part.sysctl === undefined ? {} : { sysctl: part.sysctl }),
      ...(part.silent ? { [version === 'v4' ? 'iptables' : 'ip6tables']: [noResets] } : {}),
      table: part.table?.(setting) ?? usual(setting),
      steps: part.steps(setting),
    };
  }),
);
