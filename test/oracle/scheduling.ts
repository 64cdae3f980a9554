/** Who gets a new connection: every scheduler, thresholds, weights of 0, and what is said when nobody can. */
import type { Step } from '../support/story.ts';
import { datagram, syn } from './persistence.ts';
import type { Addresses, Script, Version } from './place.ts';
import { addresses, connections, endpoint, from, listing, versions } from './place.ts';

interface Choice {
  readonly scheduler: string;
  readonly options?: string;
  readonly name?: string;
}

const choices: readonly Choice[] = [
  ...['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'sed', 'nq', 'fo', 'ovf', 'mh'].map(
    (scheduler) => ({
      scheduler,
    }),
  ),
  { scheduler: 'sh', options: '-b sh-port', name: 'sh-port' },
  { scheduler: 'sh', options: '-b sh-fallback', name: 'sh-fallback' },
  { scheduler: 'mh', options: '-b mh-port', name: 'mh-port' },
  { scheduler: 'mh', options: '-b mh-fallback', name: 'mh-fallback' },
];

function servers(
  at: Addresses,
  service: string,
  each: (number: number) => string,
  numbers = [1, 2, 3],
): string[] {
  return numbers.map((number) => `-a ${service} -r ${endpoint(at.server(number), 80)} ${each(number)}`);
}

function scheduler({ scheduler, options = '', name = scheduler }: Choice, version: Version): Script {
  const at = addresses[version];
  const service = `-t ${endpoint(at.vip, 80)}`;
  const clients = [2, 3, 4, 5, 6, 7].map((number) => at.neighbour(number));
  return {
    name: `scheduler-${name}-${version}`,
    about: `Three servers of weights 1, 2, 3: six clients, the first server quiesced, and three more connections of each of two.`,
    table: [
      `-A ${service} -s ${scheduler} ${options}`.trim(),
      ...servers(at, service, (number) => `-m -w ${number}`),
    ],
    steps: [
      ...clients.map((client) => syn(client, at.vip, 50001)),
      listing,
      { ipvsadm: `-e ${service} -r ${endpoint(at.server(1), 80)} -m -w 0` },
      ...[50002, 50003, 50004].flatMap((port) =>
        clients.slice(0, 2).map((client) => syn(client, at.vip, port)),
      ),
      listing,
    ],
  };
}

interface Part {
  readonly name: string;
  readonly about: string;
  readonly versions?: readonly Version[];
  readonly table: (at: Addresses, service: string) => readonly string[];
  readonly steps: (at: Addresses, service: string) => readonly Step[];
}

/** Everything that a client may send first, to a service that takes nobody. */
function refused(at: Addresses): Step[] {
  return [
    syn(at.client, at.vip, 50001),
    syn(at.far, at.vip, 50001),
    from('client', {
      src: at.client,
      dst: at.vip,
      tos: 0x10,
      tcp: { sport: 50002, dport: 80, flags: 'S', seq: 1000, data: 'x*1300' },
    }),
    from('client', {
      src: at.client,
      dst: at.vip,
      ttl: 1,
      tcp: { sport: 50003, dport: 80, flags: 'S', seq: 1000 },
    }),
    from('client', {
      src: at.client,
      dst: at.vip,
      tcp: { sport: 50004, dport: 80, flags: 'A', seq: 1000, ack: 1 },
    }),
    from('client', { src: at.client, dst: at.vip, tcp: { sport: 50005, dport: 80, flags: 'R', seq: 1000 } }),
    datagram(at.client, at.vip, 50001),
    connections,
    listing,
  ];
}

const parts: readonly Part[] = [
  {
    name: 'no-server',
    about: 'Services without a server: what clients are told.',
    table: (at, service) => [`-A ${service} -s rr`, `-A -u ${endpoint(at.vip, 80)} -s rr`],
    steps: refused,
  },
  {
    name: 'all-quiescent',
    about: 'Services whose servers all have weight 0.',
    table: (at, service) => [
      `-A ${service} -s rr`,
      ...servers(at, service, () => '-m -w 0'),
      `-A -u ${endpoint(at.vip, 80)} -s wlc`,
      ...servers(at, `-u ${endpoint(at.vip, 80)}`, () => '-g -w 0'),
    ],
    steps: refused,
  },
  {
    name: 'no-scheduler',
    about: 'Services whose scheduler is `none`.',
    table: (at, service) => [
      `-A ${service} -s none`,
      ...servers(at, service, () => '-m'),
      `-A -u ${endpoint(at.vip, 80)} -s none`,
      ...servers(at, `-u ${endpoint(at.vip, 80)}`, () => '-m'),
    ],
    steps: refused,
  },
  {
    name: 'upper-threshold',
    about:
      'Servers that take two connections each; a connection that is only in the table after its reset still counts.',
    table: (at, service) => [`-A ${service} -s rr`, ...servers(at, service, () => '-m -x 2', [1, 2])],
    steps: (at, service) => [
      ...[50001, 50002, 50003, 50004, 50005].map((port) => syn(at.client, at.vip, port)),
      listing,
      from('client', {
        src: at.client,
        dst: at.vip,
        tcp: { sport: 50001, dport: 80, flags: 'R', seq: 1001 },
      }),
      syn(at.client, at.vip, 50006),
      { ipvsadm: `-e ${service} -r ${endpoint(at.server(1), 80)} -m -x 3` },
      syn(at.client, at.vip, 50007),
      syn(at.client, at.vip, 50008),
      { ipvsadm: `-e ${service} -r ${endpoint(at.server(1), 80)} -m -x 0` },
      syn(at.client, at.vip, 50009),
      listing,
    ],
  },
  {
    name: 'lower-threshold',
    about:
      'A full server is asked again when fewer than its lower threshold are left; without one, below three quarters.',
    versions: ['v4'],
    table: (at) => [
      '--set 0 0 3',
      `-A -u ${endpoint(at.vip, 80)} -s rr`,
      `-a -u ${endpoint(at.vip, 80)} -r ${endpoint(at.server(1), 80)} -m -x 3 -y 2`,
      `-A -u ${endpoint(at.vip, 81)} -s rr`,
      `-a -u ${endpoint(at.vip, 81)} -r ${endpoint(at.server(2), 81)} -m -x 4`,
    ],
    steps: (at) => [
      datagram(at.client, at.vip, 50001, 80),
      datagram(at.client, at.vip, 50001, 81),
      { wait: 1 },
      datagram(at.client, at.vip, 50002, 80),
      datagram(at.client, at.vip, 50002, 81),
      { wait: 1 },
      ...[50003, 50004].map((port) => datagram(at.client, at.vip, port, 80)),
      ...[50003, 50004, 50005].map((port) => datagram(at.client, at.vip, port, 81)),
      { wait: 1.5 },
      listing,
      datagram(at.client, at.vip, 50006, 80),
      datagram(at.client, at.vip, 50006, 81),
      { wait: 1 },
      listing,
      datagram(at.client, at.vip, 50007, 80),
      datagram(at.client, at.vip, 50007, 81),
    ],
  },
  {
    name: 'quiescent',
    about: 'A server of weight 0 gets no new connections, and keeps those it has.',
    table: (at, service) => [`-A ${service} -s rr`, ...servers(at, service, () => '-m', [1, 2])],
    steps: (at, service) => [
      syn(at.client, at.vip, 50001),
      { ipvsadm: `-e ${service} -r ${endpoint(at.server(2), 80)} -m -w 0` },
      from('server', {
        src: at.server(2),
        dst: at.client,
        tcp: { sport: 80, dport: 50001, flags: 'SA', seq: 5000, ack: 1001 },
      }),
      from('client', {
        src: at.client,
        dst: at.vip,
        tcp: { sport: 50001, dport: 80, flags: 'A', seq: 1001, ack: 5001 },
      }),
      ...[50002, 50003].map((port) => syn(at.client, at.vip, port)),
      listing,
      { ipvsadm: `-e ${service} -r ${endpoint(at.server(2), 80)} -m -w 1` },
      ...[50004, 50005].map((port) => syn(at.client, at.vip, port)),
      listing,
    ],
  },
  {
    name: 'changed-service',
    about:
      'Another scheduler for a service that has connections, then the first again; the pointer of rr starts anew.',
    versions: ['v4'],
    table: (at, service) => [`-A ${service} -s rr`, ...servers(at, service, () => '-m')],
    steps: (at, service) => [
      syn(at.client, at.vip, 50001),
      { ipvsadm: `-E ${service} -s rr` },
      syn(at.client, at.vip, 50002),
      { ipvsadm: `-E ${service} -s wlc` },
      syn(at.client, at.vip, 50003),
      { ipvsadm: `-E ${service} -s rr` },
      syn(at.client, at.vip, 50004),
      syn(at.client, at.vip, 50005),
      listing,
      connections,
    ],
  },
  {
    name: 'one-packet',
    about:
      'One-packet scheduling: every datagram is scheduled for itself, and the answer through NAT is not translated.',
    table: (at) => [
      `-A -u ${endpoint(at.vip, 80)} -s rr -o`,
      ...servers(at, `-u ${endpoint(at.vip, 80)}`, () => '-m', [1, 2]),
    ],
    steps: (at) => [
      datagram(at.client, at.vip, 50001),
      datagram(at.client, at.vip, 50001),
      datagram(at.client, at.vip, 50001),
      from('server', {
        src: at.server(2),
        dst: at.client,
        udp: { sport: 80, dport: 50001, data: 'an answer' },
      }),
      connections,
      listing,
      { wait: 2.5 },
      { stats: [] },
    ],
  },
];

export const schedulingScripts: readonly Script[] = [
  ...choices.flatMap((choice) => versions.map((version) => scheduler(choice, version))),
  ...parts.flatMap((part) =>
    (part.versions ?? versions).map((version) => {
      const at = addresses[version];
      const service = `-t ${endpoint(at.vip, 80)}`;
      return {
        name: `scheduling-${part.name}-${version}`,
        about: part.about,
        table: part.table(at, service),
        steps: part.steps(at, service),
      };
    }),
  ),
];
