/** The persistence engine `sip`: a call, known by the Call-ID of its SIP messages, stays with its server. */
import type { Step } from '../support/story.ts';
import type { Addresses, Script, Version } from './place.ts';
import {
  addresses,
  connections,
  endpoint,
  fragments,
  from,
  listing,
  persistent,
  stats,
  versions,
} from './place.ts';

const port = 5060;

function message(callId: string, header = 'Call-ID: ', request = 'INVITE sip:b@y SIP/2.0'): string {
  return [request, 'Via: SIP/2.0/UDP z', `${header}${callId}`, 'CSeq: 1 INVITE', '', ''].join('\r\n');
}

/** What a client sends to the virtual address. */
function sends(client: string, at: Addresses, sport: number, data: string, dport = port): Step {
  return from('client', { src: client, dst: at.vip, udp: { sport, dport, data } });
}

/** A message of a call. */
function says(client: string, at: Addresses, sport: number, callId: string): Step {
  return sends(client, at, sport, message(callId));
}

/** What a real server sends to a client, as it leaves it. */
function answers(
  at: Addresses,
  number: number,
  client: string,
  dport: number,
  data: string,
  sport = port,
): Step {
  return from('server', { src: at.server(number), dst: client, udp: { sport, dport, data } });
}

const ok = (callId: string) => message(callId, 'Call-ID: ', 'SIP/2.0 200 OK');

function table(at: Addresses, options: string, destination = '-m', service = '-u'): string[] {
  const name = `${service} ${endpoint(at.vip, port)}`;
  return [
    `-A ${name} -s rr ${options}`,
    ...[1, 2].map((number) => `-a ${name} -r ${endpoint(at.server(number), port)} ${destination}`),
  ];
}

/** The kernel tells its counters every two seconds. */
const counted: readonly Step[] = [{ wait: 2.5 }, stats];

const sip = '-p 60 --pe sip';
const onePacket = `${sip} -o`;

interface Part {
  readonly name: string;
  readonly about: string;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  readonly iptables?: Script['iptables'];
  readonly ip6tables?: Script['ip6tables'];
  readonly table: (at: Addresses, version: Version) => readonly string[];
  readonly steps: (at: Addresses) => readonly Step[];
}

/** A call, another, and the first one by another client. */
function calls(at: Addresses): readonly Step[] {
  return [
    says(at.client, at, 50001, 'aaa@x'),
    says(at.client, at, 50001, 'bbb@x'),
    says(at.client, at, 50002, 'aaa@x'),
    says(at.client, at, 50003, 'bbb@x'),
    says(at.client, at, 50004, 'ccc@x'),
    says(at.client, at, 50005, 'bbb@x'),
    says(at.neighbour(3), at, 50001, 'aaa@x'),
    says(at.neighbour(3), at, 50002, 'aaa@x'),
    connections,
    persistent,
    listing,
    ...counted,
  ];
}

/** Headers that hold a Call-ID, or seem to. */
const headers: readonly (readonly [header: string, callId: string])[] = [
  ['call-id: ', 'lower'],
  ['CALL-ID:', 'upper'],
  ['i: ', 'compact'],
  ['I \t:\t ', 'COMPACT'],
  ['Call-ID: \r\n  ', 'folded'],
  ['Call-ID:\n\t', 'folded-lf'],
  ['Call-ID:\r\n \r\n ', 'folded-twice'],
  ['Call-ID: ', '-.!%*_+`\'~()<>:\\"/[]?{}@Z9'],
  ['Call-ID: ', 'no,comma'],
  ['Call-ID: ', 'no;semicolon'],
  ['Call-ID: ', 'no blank'],
  ['Call-ID: ', 'trailing '],
  ['Call-ID: ', 'two@at@s'],
  ['Call-ID: ', 'at-end@'],
  ['Call-ID: ', '@at-start'],
  ['Call-ID: ', ''],
  ['Call-ID', ' no-colon'],
  ['X-Call-ID: ', 'other-name'],
  ['Call-IDs: ', 'longer-name'],
  [' Call-ID: ', 'continues-a-line'],
  ['Vi: ', 'ends-in-i'],
  ['Call-ID: @bad\r\nCall-ID: ', 'after-a-bad-one'],
  ['Call-ID: first\r\nCall-ID: ', 'second'],
  ['i: first-too\r\nCall-ID: ', 'second'],
  ['info: x\r\ni: ', 'after-info'],
  ['i-name: x\r\ni: ', 'after-i-name'],
  ['\r\nCall-ID: ', 'in-the-body'],
  ['\n\nCall-ID: ', 'in-the-body-lf'],
  ['Call-ID: ', 'x'.repeat(200) + '@' + 'y'.repeat(54)],
  ['Call-ID: ', 'x'.repeat(200) + '@' + 'y'.repeat(55)],
];

const parts: readonly Part[] = [
  {
    name: 'call',
    about: 'Each datagram is scheduled by itself, and those of a call go to one server.',
    table: (at) => table(at, onePacket),
    steps: calls,
  },
  {
    name: 'call-gate',
    about: 'The same with direct routing.',
    table: (at) => table(at, onePacket, '-g'),
    steps: calls,
  },
  {
    name: 'flow',
    about: 'Without one-packet scheduling a flow stays with the server of its first call.',
    table: (at) => table(at, sip),
    steps: calls,
  },
  {
    name: 'flow-ipip',
    about: 'The same through tunnels.',
    table: (at) => table(at, sip, '-i'),
    steps: calls,
  },
  {
    name: 'no-call-id',
    about: 'A datagram without a Call-ID opens no connection and is dropped; it may belong to one.',
    table: (at) => table(at, sip),
    steps: (at) => [
      sends(at.client, at, 50001, 'hello'),
      sends(at.client, at, 50001, ''),
      connections,
      says(at.client, at, 50001, 'aaa@x'),
      sends(at.client, at, 50001, 'hello'),
      sends(at.client, at, 50002, 'hello'),
      connections,
      ...counted,
    ],
  },
  {
    name: 'headers',
    about: 'Which headers have a Call-ID.',
    versions: ['v4'],
    table: (at) => table(at, onePacket),
    steps: (at) => [
      ...headers.map(([header, callId], i) => sends(at.client, at, 50001 + i, message(callId, header))),
      ...[
        '\ni:v\n',
        '\ri:w\r',
        '\ni:z',
        '\ni:',
        'i:y\n',
        '\n',
        'Call-ID: first-line\r\n',
        'x\r\nCall-ID: no-end',
        'x\r\nCall-I',
      ].map((data, i) => sends(at.client, at, 51001 + i, data)),
      connections,
    ],
  },
  {
    name: 'netmask',
    about: 'A call is one call in all of a network.',
    table: (at, version) => table(at, `${onePacket} -M ${version === 'v4' ? '255.255.255.252' : '126'}`),
    steps: (at) => [
      says(at.neighbour(2), at, 50001, 'aaa@x'),
      says(at.neighbour(3), at, 50001, 'aaa@x'),
      says(at.neighbour(4), at, 50001, 'aaa@x'),
      says(at.neighbour(2), at, 50001, 'bbb@x'),
      connections,
    ],
  },
  {
    name: 'tcp',
    about: 'In a TCP service the engine finds nothing.',
    table: (at) => table(at, sip, '-m', '-t'),
    steps: (at) => [
      from('client', { src: at.client, dst: at.vip, tcp: { sport: 50001, dport: port, flags: 'S', seq: 1 } }),
      connections,
      listing,
    ],
  },
  {
    name: 'every-port',
    about: 'A service of port 0: a call is one call on all ports.',
    table: (at) => [
      `-A -u ${endpoint(at.vip, 0)} -s rr ${sip}`,
      ...[1, 2].map((number) => `-a -u ${endpoint(at.vip, 0)} -r ${endpoint(at.server(number), 0)} -m`),
    ],
    steps: (at) => [
      sends(at.client, at, 50001, message('aaa@x'), 5060),
      sends(at.client, at, 50001, message('bbb@x'), 5062),
      sends(at.client, at, 50001, message('bbb@x'), 5060),
      sends(at.client, at, 50001, message('aaa@x'), 5064),
      connections,
      answers(at, 1, at.neighbour(5), 50005, message('zzz@x')),
      connections,
    ],
  },
  {
    name: 'fwmark',
    about: 'A service with a firewall mark: a call is one call in all of it, and TCP has none.',
    iptables: ['-t mangle -A PREROUTING -d 10.1.0.100 -j MARK --set-mark 7'],
    ip6tables: ['-t mangle -A PREROUTING -d 2001:db8:1::100 -j MARK --set-mark 7'],
    table: (at, version) => {
      const name = `-f 7${version === 'v6' ? ' -6' : ''}`;
      return [
        `-A ${name} -s rr ${sip}`,
        ...[1, 2].map((number) => `-a ${name} -r ${endpoint(at.server(number), 0)} -m`),
      ];
    },
    steps: (at) => [
      sends(at.client, at, 50001, message('aaa@x'), 5060),
      sends(at.client, at, 50002, message('aaa@x'), 5062),
      sends(at.client, at, 50003, message('bbb@x'), 5062),
      from('client', { src: at.client, dst: at.vip, tcp: { sport: 50001, dport: port, flags: 'S', seq: 1 } }),
      connections,
      answers(at, 2, at.client, 50001, ok('aaa@x')),
      answers(at, 1, at.neighbour(5), 50005, message('zzz@x')),
      connections,
    ],
  },
  {
    name: 'out',
    about:
      'A server answers, or begins a call of its own: by the Call-ID its datagrams are known without an entry.',
    table: (at) => table(at, onePacket),
    steps: (at) => [
      says(at.client, at, 50001, 'aaa@x'),
      answers(at, 2, at.client, 50001, ok('aaa@x')),
      connections,
      answers(at, 2, at.client, 50001, 'no call'),
      answers(at, 2, at.client, 50001, ok('aaa@x'), 5070),
      answers(at, 3, at.client, 50001, ok('aaa@x')),
      answers(at, 1, at.neighbour(5), 50005, message('zzz@x')),
      connections,
      says(at.neighbour(5), at, 50006, 'zzz@x'),
      answers(at, 2, at.neighbour(5), 50005, ok('zzz@x')),
      says(at.neighbour(5), at, 50007, 'zzz@x'),
      answers(at, 1, at.far, 5060, message('yyy@x')),
      connections,
      persistent,
      listing,
      ...counted,
    ],
  },
  {
    name: 'out-flow',
    about: 'The same without one-packet scheduling: an entry is made.',
    table: (at) => table(at, sip),
    steps: (at) => [
      answers(at, 1, at.client, 50001, message('aaa@x')),
      connections,
      says(at.client, at, 50001, 'aaa@x'),
      says(at.client, at, 50002, 'aaa@x'),
      answers(at, 2, at.client, 50003, message('aaa@x')),
      answers(at, 2, at.client, 50001, message('aaa@x')),
      answers(at, 2, at.client, 50003, 'no call'),
      answers(at, 2, at.client, 50004, 'no call'),
      connections,
      persistent,
      ...counted,
    ],
  },
  {
    name: 'out-not-persistent',
    about:
      'Without persistence there are no calls, and what a server of such a service sends is known all the same.',
    versions: ['v4'],
    table: (at) => table(at, '--pe sip'),
    steps: (at) => [
      says(at.client, at, 50001, 'aaa@x'),
      says(at.client, at, 50002, 'aaa@x'),
      sends(at.client, at, 50003, 'no call'),
      answers(at, 1, at.client, 50004, message('aaa@x')),
      answers(at, 1, at.client, 50005, 'no call'),
      connections,
      listing,
      ...counted,
    ],
  },
  {
    name: 'out-every-port',
    about:
      'What a server of a service of port 0, or of a firewall mark, sends has no virtual port to come from.',
    iptables: ['-t mangle -A PREROUTING -d 10.1.0.100 -j MARK --set-mark 7'],
    ip6tables: ['-t mangle -A PREROUTING -d 2001:db8:1::100 -j MARK --set-mark 7'],
    table: (at, version) => {
      const name = `-f 7${version === 'v6' ? ' -6' : ''}`;
      const every = `-u ${endpoint(at.vip, 0)}`;
      return [
        `-A ${every} -s rr ${sip}`,
        `-a ${every} -r ${endpoint(at.server(1), port)} -m`,
        `-A ${name} -s rr ${sip}`,
        `-a ${name} -r ${endpoint(at.server(2), port)} -m`,
      ];
    },
    steps: (at) => [
      answers(at, 1, at.client, 50001, message('aaa@x')),
      answers(at, 2, at.client, 50002, message('bbb@x')),
      connections,
      answers(at, 1, at.client, 50001, message('aaa@x')),
      answers(at, 2, at.client, 50002, message('bbb@x')),
      connections,
    ],
  },
  {
    name: 'out-gate',
    about: 'What a server of direct routing sends is not looked at.',
    versions: ['v4'],
    table: (at) => table(at, onePacket, '-g'),
    steps: (at) => [answers(at, 1, at.client, 50001, message('aaa@x')), connections],
  },
  {
    name: 'out-ttl',
    about: "A server's datagram at its last hop, and one that is too long, begin no call.",
    versions: ['v4'],
    table: (at) => table(at, sip),
    steps: (at) => [
      from('server', {
        src: at.server(1),
        dst: at.client,
        ttl: 1,
        udp: { sport: port, dport: 50001, data: message('aaa@x') },
      }),
      connections,
      answers(at, 1, at.client, 50001, message('bbb@x')),
      ...counted,
    ],
  },
  {
    name: 'out-quiescent',
    about: 'A quiescent server begins calls all the same; a deleted one does not.',
    versions: ['v4'],
    table: (at) => table(at, sip),
    steps: (at) => [
      { ipvsadm: `-e -u ${endpoint(at.vip, port)} -r ${endpoint(at.server(1), port)} -m -w 0` },
      answers(at, 1, at.client, 50001, message('aaa@x')),
      says(at.client, at, 50002, 'aaa@x'),
      { ipvsadm: `-d -u ${endpoint(at.vip, port)} -r ${endpoint(at.server(1), port)}` },
      answers(at, 1, at.client, 50003, message('bbb@x')),
      connections,
      says(at.client, at, 50004, 'aaa@x'),
      connections,
      persistent,
    ],
  },
  {
    name: 'fragments',
    about: 'A message may come in fragments.',
    table: (at) => table(at, onePacket),
    steps: (at) => [
      ...fragments(
        {
          src: at.client,
          dst: at.vip,
          id: 77,
          df: false,
          udp: { sport: 50001, dport: port, data: message(`aaa@x\r\nX: ${'x'.repeat(2000)}`) },
        },
        1500,
      ).map((packet) => from('client', packet)),
      ...fragments(
        {
          src: at.client,
          dst: at.vip,
          id: 78,
          df: false,
          udp: { sport: 50002, dport: port, data: message('aaa@x', `X: ${'x'.repeat(2000)}\r\nCall-ID: `) },
        },
        1500,
      ).map((packet) => from('client', packet)),
      connections,
    ],
  },
  {
    name: 'expires',
    about: 'A call that nobody speaks of is forgotten.',
    versions: ['v4'],
    table: (at) => table(at, '-p 3 --pe sip -o'),
    steps: (at) => [
      says(at.client, at, 50001, 'aaa@x'),
      { wait: 2 },
      says(at.client, at, 50001, 'bbb@x'),
      connections,
      { wait: 2 },
      connections,
      says(at.client, at, 50001, 'ccc@x'),
      says(at.client, at, 50001, 'aaa@x'),
      says(at.client, at, 50001, 'bbb@x'),
      connections,
    ],
  },
  {
    name: 'deleted-server',
    about: 'A deleted server loses its calls, with expire_quiescent_template=1 a quiescent one too.',
    versions: ['v4'],
    sysctl: { expire_quiescent_template: 1 },
    table: (at) => table(at, onePacket),
    steps: (at) => [
      says(at.client, at, 50001, 'aaa@x'),
      says(at.client, at, 50001, 'bbb@x'),
      { ipvsadm: `-e -u ${endpoint(at.vip, port)} -r ${endpoint(at.server(2), port)} -m -w 0` },
      says(at.client, at, 50001, 'aaa@x'),
      connections,
      { ipvsadm: `-d -u ${endpoint(at.vip, port)} -r ${endpoint(at.server(1), port)}` },
      { ipvsadm: `-e -u ${endpoint(at.vip, port)} -r ${endpoint(at.server(2), port)} -m -w 1` },
      says(at.client, at, 50001, 'aaa@x'),
      says(at.client, at, 50001, 'bbb@x'),
      connections,
    ],
  },
  {
    name: 'edited',
    about: 'Templates of calls and templates of clients do not know each other.',
    versions: ['v4'],
    table: (at) => table(at, onePacket),
    steps: (at) => [
      says(at.client, at, 50001, 'aaa@x'),
      { ipvsadm: `-E -u ${endpoint(at.vip, port)} -s rr -p 60 -o` },
      says(at.client, at, 50001, 'bbb@x'),
      says(at.client, at, 50001, 'aaa@x'),
      answers(at, 1, at.client, 50001, message('aaa@x')),
      connections,
      { ipvsadm: `-E -u ${endpoint(at.vip, port)} -s rr ${onePacket}` },
      says(at.client, at, 50001, 'bbb@x'),
      says(at.client, at, 50001, 'aaa@x'),
      answers(at, 1, at.client, 50001, message('aaa@x')),
      connections,
    ],
  },
];

export const sipScripts: readonly Script[] = parts.flatMap((part) =>
  (part.versions ?? versions).map((version) => ({
    name: `sip-${part.name}-${version}`,
    about: part.about,
    ...(part.sysctl === undefined ? {} : { sysctl: part.sysctl }),
    ...(part.iptables === undefined || version === 'v6' ? {} : { iptables: part.iptables }),
    ...(part.ip6tables === undefined || version === 'v4' ? {} : { ip6tables: part.ip6tables }),
    table: part.table(addresses[version], version),
    steps: part.steps(addresses[version]),
  })),
);
