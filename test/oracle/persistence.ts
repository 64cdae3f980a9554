/** Persistence: which server a client comes back to, for how long, and what ends it. */
import type { Step } from '../support/story.ts';
import type { Addresses, Script, Version } from './place.ts';
import { addresses, connections, endpoint, from, listing, persistent, versions } from './place.ts';

/** A SYN of one client from one port. */
export function syn(client: string, vip: string, port: number, dport = 80): Step {
  return from('client', { src: client, dst: vip, tcp: { sport: port, dport, flags: 'S', seq: 1000 } });
}

/** The rest of the handshake, behind NAT. */
function handshake(client: string, at: Addresses, port: number, server: number, sport = 80): Step[] {
  return [
    syn(client, at.vip, port),
    from('server', {
      src: at.server(server),
      dst: client,
      tcp: { sport, dport: port, flags: 'SA', seq: 5000, ack: 1001 },
    }),
    from('client', {
      src: client,
      dst: at.vip,
      tcp: { sport: port, dport: 80, flags: 'A', seq: 1001, ack: 5001 },
    }),
  ];
}

export function datagram(client: string, vip: string, port: number, dport = 80): Step {
  return from('client', { src: client, dst: vip, udp: { sport: port, dport, data: 'a question' } });
}

function table(at: Addresses, service: string, options: string, destination = '-m', port = 80): string[] {
  const name = `${service} ${endpoint(at.vip, service === '-u' || service === '-t' ? port : 0)}`;
  return [
    `-A ${name} -s rr ${options}`,
    ...[1, 2].map((number) => `-a ${name} -r ${endpoint(at.server(number), port)} ${destination}`),
  ];
}

interface Part {
  readonly name: string;
  readonly about: string;
  readonly versions?: readonly Version[];
  readonly sysctl?: Readonly<Record<string, number>>;
  readonly table: (at: Addresses, version: Version) => readonly string[];
  readonly steps: (at: Addresses) => readonly Step[];
}

const parts: readonly Part[] = [
  {
    name: 'template',
    about:
      'A client comes back to the server it had, whatever its port; another client gets the other server.',
    table: (at) => table(at, '-t', '-p 60'),
    steps: (at) => [
      ...handshake(at.client, at, 50001, 2),
      connections,
      syn(at.client, at.vip, 50002),
      syn(at.neighbour(3), at.vip, 50001),
      syn(at.neighbour(3), at.vip, 50002),
      syn(at.client, at.vip, 50003),
      connections,
      persistent,
      listing,
    ],
  },
  {
    name: 'template-gate',
    about: 'Persistence with direct routing.',
    table: (at) => table(at, '-t', '-p 60', '-g'),
    steps: (at) => [
      syn(at.client, at.vip, 50001),
      syn(at.neighbour(3), at.vip, 50001),
      syn(at.client, at.vip, 50002),
      connections,
      persistent,
    ],
  },
  {
    name: 'udp',
    about: 'Persistence of a UDP service.',
    table: (at) => table(at, '-u', '-p 60'),
    steps: (at) => [
      datagram(at.client, at.vip, 50001),
      datagram(at.client, at.vip, 50002),
      datagram(at.neighbour(3), at.vip, 50001),
      datagram(at.client, at.vip, 50003),
      connections,
      persistent,
    ],
  },
  {
    name: 'netmask',
    about: 'Clients of one network count as one.',
    table: (at, version) => table(at, '-t', `-p 60 -M ${version === 'v4' ? '255.255.255.252' : '126'}`),
    steps: (at) => [
      syn(at.neighbour(2), at.vip, 50001),
      syn(at.neighbour(3), at.vip, 50001),
      syn(at.neighbour(4), at.vip, 50001),
      syn(at.neighbour(5), at.vip, 50001),
      syn(at.neighbour(2), at.vip, 50002),
      connections,
      persistent,
    ],
  },
  {
    name: 'every-port',
    about: 'A service of port 0 takes every port of the VIP, and a client has one server for all of them.',
    table: (at) => table(at, '-t', '-p 60', '-m', 0),
    steps: (at) => [
      syn(at.client, at.vip, 50001, 80),
      syn(at.client, at.vip, 50002, 8080),
      syn(at.neighbour(3), at.vip, 50001, 443),
      syn(at.client, at.vip, 50003, 80),
      connections,
      listing,
    ],
  },
  {
    name: 'every-port-beside-one',
    about: 'A service of one port goes before the service of port 0 at the same VIP.',
    versions: ['v4'],
    table: (at) => [
      ...table(at, '-t', '-p 60', '-m', 0),
      `-A -t ${endpoint(at.vip, 80)} -s rr`,
      `-a -t ${endpoint(at.vip, 80)} -r ${endpoint(at.server(3), 80)} -m`,
    ],
    steps: (at) => [
      syn(at.client, at.vip, 50001, 80),
      syn(at.client, at.vip, 50002, 81),
      connections,
      listing,
    ],
  },
  {
    name: 'ftp-port',
    about: 'At port 21 the template holds for every port of the VIP.',
    versions: ['v4'],
    table: (at) => table(at, '-t', '-p 60', '-m', 21),
    steps: (at) => [
      syn(at.client, at.vip, 50001, 21),
      syn(at.client, at.vip, 50002, 40000),
      syn(at.client, at.vip, 50003, 20),
      connections,
    ],
  },
  {
    name: 'quiescent',
    about: 'A server of weight 0 keeps the clients that it has; new clients go to the other one.',
    table: (at) => table(at, '-t', '-p 60'),
    steps: (at) => [
      syn(at.client, at.vip, 50001),
      { ipvsadm: `-e -t ${endpoint(at.vip, 80)} -r ${endpoint(at.server(2), 80)} -m -w 0` },
      syn(at.client, at.vip, 50002),
      syn(at.neighbour(3), at.vip, 50001),
      syn(at.neighbour(4), at.vip, 50001),
      connections,
      persistent,
    ],
  },
  {
    name: 'quiescent-expires',
    about:
      'With expire_quiescent_template=1 a server of weight 0 loses its clients at their next connection.',
    sysctl: { expire_quiescent_template: 1 },
    table: (at) => table(at, '-t', '-p 60'),
    steps: (at) => [
      syn(at.client, at.vip, 50001),
      { ipvsadm: `-e -t ${endpoint(at.vip, 80)} -r ${endpoint(at.server(2), 80)} -m -w 0` },
      syn(at.client, at.vip, 50002),
      connections,
      from('client', {
        src: at.client,
        dst: at.vip,
        tcp: { sport: 50001, dport: 80, flags: 'A', seq: 1001, ack: 5001 },
      }),
      syn(at.client, at.vip, 50003),
      persistent,
    ],
  },
  {
    name: 'deleted-server',
    about: 'A deleted server loses its clients: at the next connection they get another.',
    table: (at) => table(at, '-t', '-p 60'),
    steps: (at) => [
      syn(at.client, at.vip, 50001),
      { ipvsadm: `-d -t ${endpoint(at.vip, 80)} -r ${endpoint(at.server(2), 80)}` },
      syn(at.client, at.vip, 50002),
      connections,
      { ipvsadm: `-a -t ${endpoint(at.vip, 80)} -r ${endpoint(at.server(2), 80)} -m` },
      syn(at.client, at.vip, 50003),
      persistent,
      connections,
    ],
  },
  {
    name: 'over-threshold',
    about: 'A client comes back to its server even when that has all the connections it takes.',
    versions: ['v4'],
    table: (at) => table(at, '-t', '-p 60', '-m -x 2'),
    steps: (at) => [
      ...[50001, 50002, 50003, 50004].map((port) => syn(at.client, at.vip, port)),
      ...[3, 4, 5].map((number) => syn(at.neighbour(number), at.vip, 50001)),
      connections,
      persistent,
    ],
  },
  {
    name: 'expires',
    about: 'A template without connections ends in time, and the client is scheduled anew.',
    table: (at) => ['--set 0 0 1', ...table(at, '-u', '-p 3')],
    steps: (at) => [
      datagram(at.client, at.vip, 50001),
      connections,
      { wait: 2 },
      connections,
      datagram(at.client, at.vip, 50002),
      connections,
      { wait: 2 },
      connections,
      { wait: 2 },
      connections,
      datagram(at.client, at.vip, 50003),
    ],
  },
  {
    name: 'prolonged',
    about: 'A template that has connections does not end: it is prolonged by a minute at a time.',
    versions: ['v4'],
    table: (at) => table(at, '-t', '-p 2'),
    steps: (at) => [
      ...handshake(at.client, at, 50001, 2),
      connections,
      // Not a whole number: the timer may be a little late.
      { wait: 3.5 },
      connections,
      syn(at.client, at.vip, 50002),
      connections,
    ],
  },
  {
    name: 'reused-port',
    about:
      'A connection that a template holds is not scheduled anew when its port is used again, but follows the template.',
    versions: ['v4'],
    table: (at) => table(at, '-t', '-p 60'),
    steps: (at) => [
      ...handshake(at.client, at, 50001, 2),
      from('client', {
        src: at.client,
        dst: at.vip,
        tcp: { sport: 50001, dport: 80, flags: 'R', seq: 1001 },
      }),
      connections,
      syn(at.client, at.vip, 50001),
      connections,
    ],
  },
];

export const persistenceScripts: readonly Script[] = parts.flatMap((part) =>
  (part.versions ?? versions).map((version) => ({
    name: `persistence-${part.name}-${version}`,
    about: part.about,
    ...(part.sysctl === undefined ? {} : { sysctl: part.sysctl }),
    table: part.table(addresses[version], version),
    steps: part.steps(addresses[version]),
  })),
);
