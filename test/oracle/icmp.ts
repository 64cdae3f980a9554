/** What happens to ICMP: errors of servers, clients and routers about packets of a connection, pings. */
import type { IcmpText, PacketText } from '../support/packet-text.ts';
import { guePort } from '../support/packet-text.ts';
import { connections, from, quote } from './place.ts';
import type { Method, Situation } from './situation.ts';
import { plainly, nat, tunnel, anyone, open, ifNat, tooBig } from './situation.ts';

export const icmpSituations: readonly Situation[] = [
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
    name: 'icmp-about-tunnel',
    // Not that it is too big: then the kernel tells the client the MTU of a route that it has not looked up again.
    about:
      'A router on the way to the real server writes to the director about a tunnel packet, and the client is told.',
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
