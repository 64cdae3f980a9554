import t from 'tap';
import type { AttachMode, InterfaceFacts } from '../../../src/engines/ebpf/attach-choice.ts';
import { chooseAttachment, largestXdpMtu } from '../../../src/engines/ebpf/attach-choice.ts';

const card: InterfaceFacts = {
  name: 'eth0',
  loopback: false,
  kind: '',
  mtu: 1500,
  merging: [],
  carries: [],
  otherXdp: undefined,
};

/** `native: a network card` */
function choice(changes: Partial<InterfaceFacts> = {}, mode: AttachMode = 'auto'): string {
  const { xdp, reason } = chooseAttachment({ ...card, ...changes }, mode);
  return `${xdp}: ${reason}`;
}

void t.test('XDP is chosen where it loses nothing', (t) => {
  t.equal(choice(), 'native: a network card');
  t.equal(choice({ mtu: largestXdpMtu }), 'native: a network card');
  for (const kind of ['veth', 'bridge', 'bond', 'team', 'vlan', 'macvlan', 'tun', 'vxlan', 'dummy'])
    t.match(choice({ kind }), new RegExp(`^none: ${kind}: `));
  t.match(choice({ kind: 'veth' }), /segments that no card has cut/);
  t.match(choice({ kind: 'dummy' }), 'it is no network card');
  t.match(choice({ mtu: 9000 }), /^none: MTU 9000: XDP takes packets of at most \d+ bytes$/);
  t.match(choice({ loopback: true, kind: '' }), /^none/);
  t.equal(
    choice({ merging: ['rx-gro-hw'] }),
    'none: rx-gro-hw merges packets as they come; for XDP: ethtool -K eth0 rx-gro-hw off',
    'with what a person can do about it',
  );
  t.match(choice({ carries: ['eth0.7'] }), /^none: it carries eth0.7, .*VLAN tag/);
  t.end();
});

void t.test('who asks for one of them gets it, but nobody is pushed aside', (t) => {
  const virtual = { kind: 'veth', mtu: 9000, merging: ['rx-lro'] };
  t.equal(choice(virtual, 'xdp'), 'forced: as asked for');
  t.equal(choice({}, 'tc'), 'none: as asked for');
  for (const mode of ['auto', 'xdp', 'tc'] as const)
    t.match(choice({ otherXdp: 'xdp_filter' }, mode), /^none: the XDP program xdp_filter of somebody else/);
  t.match(choice({ loopback: true }, 'xdp'), /^none/);
  t.end();
});
