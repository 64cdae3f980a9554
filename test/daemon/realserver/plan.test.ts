import t from 'tap';
import { planFor, serverAddresses } from '../../../src/daemon/realserver/plan.ts';
import { scriptOf } from '../../../src/daemon/realserver/script.ts';
import type { ServiceId } from '../../../src/director/table.ts';
import { configuration, real, virtual } from '../../support/configuration.ts';

const six: ServiceId = { kind: 'address', protocol: 'udp', address: '2001:db8:1::100', port: 53 };
const every: ServiceId = { kind: 'address', protocol: 'tcp', address: '10.1.0.101', port: 0 };
const mark: ServiceId = { kind: 'fwmark', mark: 7, family: 'inet' };

const file = configuration([
  virtual([real('10.2.0.11:8080', { forwarding: 'gate' }), real('10.2.0.12:80', { forwarding: 'ipip' })]),
  virtual([real('10.2.0.11:0', { forwarding: 'gate' }), real('10.2.0.13:0', { forwarding: 'masq' })], {
    service: every,
  }),
  virtual([real('2001:db8:2::12:53', { forwarding: 'ipip' })], { service: six }),
  virtual([real('10.2.0.11:80', { forwarding: 'gate' })], {
    service: mark,
    fallback: { address: '127.0.0.1', port: 80, forwarding: 'local' },
  }),
]);

function commands(
  as: string,
  via?: 'iptables' | 'arp' | 'ipip',
  marked: readonly string[] = [],
): readonly string[] {
  return planFor(file, new Set([as]), { via, marked }).steps.map(({ command }) => command);
}

function notes(as: string, via?: 'iptables' | 'arp' | 'ipip'): readonly string[] {
  return planFor(file, new Set([as]), { via, marked: [] }).notes;
}

void t.test('who the real servers are', (t) => {
  t.same(
    serverAddresses(file),
    ['10.2.0.11', '10.2.0.12', '10.2.0.13', '2001:db8:2::12'],
    'not loopback: every host has it',
  );
  t.end();
});

void t.test('gate: on lo, after ARP is silent', (t) => {
  t.same(commands('10.2.0.11'), [
    'sysctl -w net.ipv4.conf.all.arp_ignore=1',
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    'ip -4 address add 10.1.0.100/32 dev lo',
    'ip -4 address add 10.1.0.101/32 dev lo',
  ]);
  t.match(notes('10.2.0.11'), [
    /^fwm:7 is a firewall mark: only the rules of the director .* --vip ADDRESS$/,
  ]);
  t.ok(
    commands('10.2.0.11', undefined, ['10.9.0.1']).includes('ip -4 address add 10.9.0.1/32 dev lo'),
    'with --vip',
  );
  t.end();
});

void t.test('gate: by REDIRECT rules, to the port where the server listens', (t) => {
  const nat = 'iptables -w -t nat';
  t.same(commands('10.2.0.11', 'iptables', ['10.9.0.1', '2001:db8::9']), [
    `${nat} -N DIRECTORD-REAL`,
    `${nat} -A DIRECTORD-REAL -d 10.1.0.100 -p tcp --dport 80 -m comment --comment "directord tcp:10.1.0.100:80" -j REDIRECT --to-ports 8080`,
    `${nat} -A DIRECTORD-REAL -d 10.1.0.101 -p tcp -m comment --comment "directord tcp:10.1.0.101:0" -j REDIRECT`,
    `${nat} -A DIRECTORD-REAL -d 10.9.0.1 -m comment --comment "directord fwm:7" -j REDIRECT`,
    `${nat} -A PREROUTING -j DIRECTORD-REAL`,
  ]);
  t.end();
});

void t.test('ipip: the tunnel device of the family, and no strict filter on it', (t) => {
  t.same(commands('10.2.0.12').slice(2), [
    'modprobe ipip',
    'ip link set tunl0 up',
    'sysctl -w net.ipv4.conf.tunl0.rp_filter=2',
    'ip -4 address add 10.1.0.100/32 dev tunl0',
  ]);
  t.same(commands('2001:db8:2::12'), [
    'modprobe ip6_tunnel',
    'ip link set ip6tnl0 up',
    'ip -6 address add 2001:db8:1::100/128 dev ip6tnl0 nodad preferred_lft 0',
  ]);
  t.end();
});

void t.test('what cannot be done is said', (t) => {
  t.same([commands('10.2.0.13'), notes('10.2.0.13').length], [[], 1]);
  t.match(notes('10.2.0.13')[0], /masq .* every reply must pass the director.*ip route replace default via/);
  t.same(commands('10.2.0.12', 'arp'), []);
  t.match(notes('10.2.0.12', 'arp')[0], /packets come wrapped, and --via arp does not unwrap them; use ipip/);
  t.match(notes('10.2.0.11', 'ipip')[0], /packets come unwrapped, so --via ipip is no way/);
  t.end();
});

void t.test('the script leaves alone what is done, and tells how to undo it', (t) => {
  const script = scriptOf('Head.', planFor(file, new Set(['10.2.0.11']), { via: undefined, marked: [] }));
  t.match(script, /^#!\/bin\/sh\n# Head\./);
  t.match(
    script,
    'ip -4 address show dev lo to 10.1.0.100/32 | grep -q . ||\n  ip -4 address add 10.1.0.100/32 dev lo\n',
  );
  const undo = script.split('# To undo it')[1] ?? '';
  t.match(
    undo,
    /address del 10\.1\.0\.101.*\n.*address del 10\.1\.0\.100.*\n.*arp_announce=0\n.*arp_ignore=0\n$/,
    'in reverse',
  );
  t.notMatch(script, /^set -e/m, 'which would close the shell that it is pasted into');
  t.end();
});
