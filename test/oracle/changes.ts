/** What happens to connections when the table changes under them, and when a client uses its port again. */
import type { Step } from '../support/story.ts';
import { datagram, syn } from './persistence.ts';
import type { Addresses, Script, Version } from './place.ts';
import { addresses, connections, endpoint, from, listing, persistent, Talk, versions } from './place.ts';

interface Setting {
  readonly at: Addresses;
  /** `-t VIP:80` */
  readonly service: string;
  /** Real server 2, which rr asks first. */
  readonly server: string;
  readonly talk: Talk;
}

interface Part {
  readonly name: string;
  readonly about: string;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  /** By default rr and the servers 1 and 2. */
  readonly servers?: readonly number[];
  readonly words?: string;
  readonly steps: (setting: Setting) => readonly Step[];
}

function opened({ talk }: Setting): Step[] {
  return [
    talk.tcp('S', { seq: 1000 }),
    talk.tcpBack('SA', { seq: 5000, ack: 1001 }),
    talk.tcp('A', { seq: 1001, ack: 5001 }),
  ];
}

function data({ talk }: Setting): Step[] {
  return [
    talk.tcp('PA', { seq: 1001, ack: 5001, data: 'a question' }),
    talk.tcpBack('PA', { seq: 5001, ack: 1011, data: 'an answer' }),
  ];
}

const parts: readonly Part[] = [
  {
    name: 'server-deleted',
    about:
      'A server is deleted: packets of its connections are lost until it is added again, then they go on.',
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: `-d ${setting.service} -r ${setting.server}` },
      ...data(setting),
      connections,
      listing,
      syn(setting.at.client, setting.at.vip, 50001),
      connections,
      syn(setting.at.client, setting.at.vip, 50002),
      { ipvsadm: `-a ${setting.service} -r ${setting.server} -m` },
      listing,
      ...data(setting),
      listing,
      connections,
    ],
  },
  {
    name: 'server-deleted-nodest',
    about: 'With expire_nodest_conn=1 the connections of a deleted server end at once.',
    sysctl: { expire_nodest_conn: 1 },
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: `-d ${setting.service} -r ${setting.server}` },
      { wait: 0.2 },
      ...data(setting),
      connections,
      syn(setting.at.client, setting.at.vip, 50001),
      connections,
      listing,
    ],
  },
  {
    name: 'server-deleted-udp',
    about: 'A server of a UDP service is deleted and added again.',
    steps: ({ at, service, server }) => {
      const udp = service.replace('-t', '-u');
      return [
        { ipvsadm: `-A ${udp} -s rr` },
        { ipvsadm: `-a ${udp} -r ${endpoint(at.server(1), 80)} -m` },
        { ipvsadm: `-a ${udp} -r ${server} -m` },
        datagram(at.client, at.vip, 50001),
        { ipvsadm: `-d ${udp} -r ${server}` },
        datagram(at.client, at.vip, 50001),
        from('server', {
          src: at.server(2),
          dst: at.client,
          udp: { sport: 80, dport: 50001, data: 'an answer' },
        }),
        datagram(at.client, at.vip, 50002),
        { sysctl: { expire_nodest_conn: 1 } },
        datagram(at.client, at.vip, 50001),
        connections,
        listing,
      ];
    },
  },
  {
    name: 'server-quiescent-nodest',
    about: 'With expire_nodest_conn=1 a SYN on a connection of a server of weight 0 is scheduled anew.',
    sysctl: { expire_nodest_conn: 1 },
    versions: ['v4'],
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: `-e ${setting.service} -r ${setting.server} -m -w 0` },
      ...data(setting),
      connections,
      syn(setting.at.client, setting.at.vip, 50001),
      connections,
      listing,
    ],
  },
  {
    name: 'server-to-gate',
    about: 'A server with connections changes from NAT to direct routing: they stay as they are.',
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: `-e ${setting.service} -r ${setting.server} -g` },
      ...data(setting),
      // Not a new connection to it: the kernel still has the server's route for NAT, and looks for the VIP on its network.
      syn(setting.at.client, setting.at.vip, 50002),
      listing,
      connections,
    ],
  },
  {
    name: 'service-deleted',
    about:
      'A service is deleted, another stays: packets of its connections are lost until it is there again.',
    steps: (setting) => {
      const other = endpoint(setting.at.vip, 81);
      return [
        { ipvsadm: `-A -t ${other} -s rr` },
        ...opened(setting),
        { ipvsadm: `-D ${setting.service}` },
        ...data(setting),
        syn(setting.at.client, setting.at.vip, 50002),
        connections,
        listing,
        { ipvsadm: `-A ${setting.service} -s rr` },
        { ipvsadm: `-a ${setting.service} -r ${setting.server} -m` },
        ...data(setting),
        connections,
        listing,
      ];
    },
  },
  {
    name: 'last-service-deleted',
    about:
      'Without any service all packets are for the director itself; the connections come back with the service.',
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: `-D ${setting.service}` },
      ...data(setting),
      connections,
      { ipvsadm: `-A ${setting.service} -s rr` },
      { ipvsadm: `-a ${setting.service} -r ${setting.server} -m` },
      ...data(setting),
      connections,
    ],
  },
  {
    name: 'cleared',
    about: 'The whole table is cleared and another one made.',
    versions: ['v4'],
    steps: (setting) => [
      ...opened(setting),
      { ipvsadm: '-C' },
      connections,
      { ipvsadm: `-A ${setting.service} -s wlc` },
      { ipvsadm: `-a ${setting.service} -r ${endpoint(setting.at.server(3), 80)} -g` },
      ...data(setting),
      syn(setting.at.client, setting.at.vip, 50001),
      syn(setting.at.client, setting.at.vip, 50002),
      connections,
      listing,
    ],
  },
  {
    name: 'server-order',
    about:
      'The order of servers that rr goes by: newest first; a server that is deleted and added again is the newest.',
    versions: ['v4'],
    servers: [1, 2, 3],
    steps: ({ at, service }) => {
      const ports = (from: number, count: number) =>
        Array.from({ length: count }, (_, i) => syn(at.client, at.vip, from + i));
      return [
        ...ports(50001, 4),
        { ipvsadm: `-d ${service} -r ${endpoint(at.server(1), 80)}` },
        ...ports(50011, 3),
        { ipvsadm: `-a ${service} -r ${endpoint(at.server(1), 80)} -m` },
        ...ports(50021, 4),
        { ipvsadm: `-e ${service} -r ${endpoint(at.server(2), 80)} -m -w 5` },
        ...ports(50031, 4),
        listing,
      ];
    },
  },
  {
    name: 'timeouts',
    about: '`--set` changes the timeouts of what happens from now on.',
    versions: ['v4'],
    steps: (setting) => {
      const { at } = setting;
      const next = new Talk(at.client, at.vip, at.server(1), { client: 50002, vip: 80, server: 80 });
      return [
        ...opened(setting),
        { ipvsadm: '--set 30 20 10' },
        connections,
        ...data(setting),
        connections,
        setting.talk.tcpBack('FA', { seq: 5010, ack: 1011 }),
        connections,
        setting.talk.tcp('FA', { seq: 1011, ack: 5011 }),
        connections,
        { ipvsadm: '--set 2 0 0' },
        next.tcp('S', { seq: 3000 }),
        next.tcpBack('SA', { seq: 7000, ack: 3001 }),
        next.tcp('A', { seq: 3001, ack: 7001 }),
        connections,
        { wait: 1 },
        connections,
        { wait: 2 },
        connections,
        listing,
        next.tcp('PA', { seq: 3001, ack: 7001, data: 'a question' }),
      ];
    },
  },
  {
    name: 'udp-timeout',
    about: 'A flow of datagrams ends when nothing comes for its time, from whichever side.',
    versions: ['v4'],
    steps: ({ at, service, server }) => {
      const udp = service.replace('-t', '-u');
      const answer: Step = from('server', {
        src: at.server(2),
        dst: at.client,
        udp: { sport: 80, dport: 50001, data: 'an answer' },
      });
      return [
        { ipvsadm: `-A ${udp} -s rr` },
        { ipvsadm: `-a ${udp} -r ${endpoint(at.server(1), 80)} -m` },
        { ipvsadm: `-a ${udp} -r ${server} -m` },
        { ipvsadm: '--set 0 0 3' },
        datagram(at.client, at.vip, 50001),
        { wait: 2 },
        answer,
        connections,
        { wait: 2 },
        datagram(at.client, at.vip, 50001),
        connections,
        { wait: 4 },
        connections,
        listing,
        answer,
        datagram(at.client, at.vip, 50001),
      ];
    },
  },
];

/** conn_reuse_mode and where the connection is when its port is used again. */
function reuse(method: 'masq' | 'gate', mode: number, version: Version): Script {
  const at = addresses[version];
  const vip = endpoint(at.vip, 80);
  const client = (port: number, flags: string) =>
    from('client', {
      src: at.client,
      dst: at.vip,
      tcp: { sport: port, dport: 80, flags, seq: 1001, ack: 5001 },
    });
  // Which server a port has alternates: the n-th connection, and none in between.
  const back = (server: number, port: number, flags: string): Step[] =>
    method === 'gate'
      ? []
      : [
          from('server', {
            src: at.server(server),
            dst: at.client,
            tcp: { sport: 80, dport: port, flags, seq: 5000, ack: 1001 },
          }),
        ];
  const open = (server: number, port: number) => [
    syn(at.client, at.vip, port),
    ...back(server, port, 'SA'),
    client(port, 'A'),
  ];
  return {
    name: `reuse-${method}-mode-${mode}-${version}`,
    about:
      'SYNs from ports whose last connection is still known: established, after a reset, half closed, closed.',
    sysctl: { conn_reuse_mode: mode },
    table: [
      `-A -t ${vip} -s rr`,
      ...[1, 2].map(
        (number) => `-a -t ${vip} -r ${endpoint(at.server(number), 80)} ${method === 'masq' ? '-m' : '-g'}`,
      ),
    ],
    steps: [
      ...open(2, 50001),
      ...open(1, 50002),
      client(50002, 'R'),
      ...open(2, 50003),
      ...(method === 'masq' ? back(2, 50003, 'FA') : [client(50003, 'FA')]),
      ...open(1, 50004),
      client(50004, 'FA'),
      ...back(1, 50004, 'FA'),
      ...open(2, 50005),
      client(50005, 'FA'),
      connections,
      ...[50001, 50002, 50003, 50004, 50005].map((port) => syn(at.client, at.vip, port)),
      connections,
      listing,
    ],
  };
}

/** A template of a fwmark service, and who is counted. */
const marked: readonly Script[] = versions.flatMap((version) => {
  const at = addresses[version];
  const family = version === 'v4' ? '' : ' -6';
  const rule = (mark: number, ports: string) =>
    `-t mangle -A PREROUTING -d ${at.vip} -p tcp --dport ${ports} -j MARK --set-mark ${mark}`;
  const rules = { [version === 'v4' ? 'iptables' : 'ip6tables']: [rule(7, '80:81'), rule(8, '90')] };
  const zero = (number: number) => endpoint(at.server(number), 0);
  const ask = [
    syn(at.client, at.vip, 50001, 80),
    syn(at.client, at.vip, 50002, 81),
    syn(at.client, at.vip, 50003, 80),
    syn(at.neighbour(3), at.vip, 50001, 81),
    syn(at.client, at.vip, 50004, 82),
    syn(at.client, at.vip, 50005, 90),
  ];
  return (['-m', '-g'] as const).flatMap((method) => {
    const name = method === '-m' ? 'masq' : 'gate';
    return [
      {
        name: `fwmark-${name}-${version}`,
        about:
          'A service named by a firewall mark takes several ports; without a mark it is the director that answers.',
        ...rules,
        table: [
          `-A -f 7${family} -s rr`,
          ...[1, 2].map((number) => `-a -f 7${family} -r ${zero(number)} ${method}`),
          `-A -f 8${family} -s rr`,
          `-a -f 8${family} -r ${endpoint(at.server(3), method === '-m' ? 8080 : 0)} ${method}`,
        ],
        steps: [...ask, connections, listing],
      },
      {
        name: `fwmark-persistence-${name}-${version}`,
        about: 'Persistence of a fwmark service: one server for all its ports.',
        ...rules,
        table: [
          `-A -f 7${family} -s rr -p 60`,
          ...[1, 2].map((number) => `-a -f 7${family} -r ${zero(number)} ${method}`),
        ],
        steps: [...ask.slice(0, 4), connections, persistent],
      },
    ];
  });
});

export const changeScripts: readonly Script[] = [
  ...parts.flatMap((part) =>
    (part.versions ?? versions).map((version) => {
      const at = addresses[version];
      const service = `-t ${endpoint(at.vip, 80)}`;
      const talk = new Talk(at.client, at.vip, at.server(2), { client: 50001, vip: 80, server: 80 });
      return {
        name: `change-${part.name}-${version}`,
        about: part.about,
        ...(part.sysctl === undefined ? {} : { sysctl: part.sysctl }),
        table: [
          `-A ${service} -s rr`,
          ...(part.servers ?? [1, 2]).map(
            (number) => `-a ${service} -r ${endpoint(at.server(number), 80)} ${part.words ?? '-m'}`,
          ),
        ],
        steps: part.steps({ at, service, server: endpoint(at.server(2), 80), talk }),
      };
    }),
  ),
  ...(['masq', 'gate'] as const).flatMap((method) =>
    [0, 1, 2].flatMap((mode) => versions.map((version) => reuse(method, mode, version))),
  ),
  ...marked,
];
