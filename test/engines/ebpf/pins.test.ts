import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Attachments, detachFilters } from '../../../src/engines/ebpf/attachments.ts';
import type { AttachmentsParts } from '../../../src/engines/ebpf/attachments.ts';
import { Pins } from '../../../src/engines/ebpf/pins.ts';
import { attachXdp, tcOn, xdpOn } from '../../../src/platform/bpf/bpf-link.ts';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import { Netlink } from '../../../src/platform/netlink.ts';
import { ownBpffs, skip } from '../../platform/bpf/lab.ts';
import { enterOwnNetwork, ip, wire } from '../../platform/own-network.ts';

const compiled = join(t.testdir(), 'passing.bpf.o');

function compile(): void {
  const source = fileURLToPath(new URL('passing.bpf.c', import.meta.url));
  const includes = `-I/usr/include/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  execFileSync('clang', ['-O2', '-g', '-target', 'bpf', includes, '-c', source, '-o', compiled]);
}

/** As a new daemon has it: a program of its own. */
function load(): BpfObject {
  const object = BpfObject.open(compiled);
  object.load();
  return object;
}

void t.test('what is attached outlives the daemon, and the next one takes it over', { skip }, (t) => {
  compile();
  enterOwnNetwork();
  const root = ownBpffs();
  wire('one', 'other');
  ip('link add name bridge type bridge');
  ip('link set bridge up');
  ip('link add name port type veth peer name plug');
  ip('link set port master bridge up');
  const netlink = new Netlink();
  const index = (name: string): number => netlink.links().find((link) => link.name === name)?.index ?? 0;
  const pins = new Pins('default', 'v1', root);
  pins.prepare();
  const told: string[] = [];
  const note = (message: string): void => void told.push(message);
  const daemon = (changes: Partial<AttachmentsParts> = {}): Attachments => {
    const object = load();
    const [xdp, tc] = [object.program('xdp_director'), object.program('tc_director')];
    return new Attachments({
      ...{ xdp, tc, pins, instance: 'default', mode: 'auto', problem: note, info: note },
      ...changes,
    });
  };
  const on = (name: string): string[] => {
    const xdp = xdpOn(index(name));
    return [
      ...(xdp === undefined ? [] : [xdp.mode]),
      ...tcOn(index(name), 'ingress').map(({ kind, name: program }) => `${kind} ${program}`),
    ];
  };

  const first = daemon();
  first.refresh(netlink.links());
  t.equal(first.describe(), 'other (tc), one (tc), bridge (tc), lo (tc)', 'not on ports');
  t.same([on('one'), on('port')], [['tcx tc_director'], []]);
  const [before] = tcOn(index('one'), 'ingress');
  first.close();
  t.same(on('one'), ['tcx tc_director'], 'it stays');

  const second = daemon();
  second.refresh(netlink.links());
  const [after] = tcOn(index('one'), 'ingress');
  t.not(after?.programId, before?.programId, 'its program is in the place of the first');
  t.equal(tcOn(index('one'), 'ingress').length, 1);

  ip('link add name late type veth peer name later');
  ip('link set late up');
  second.refresh(netlink.links());
  t.same(on('late'), ['tcx tc_director'], 'an interface that comes later');
  const late = index('late');
  ip('link del late');
  ip('link del one');
  second.refresh(netlink.links());
  t.notOk(existsSync(pins.attachment('tcx', late)), 'of one that went nothing is left');
  t.equal(second.describe(), 'bridge (tc), lo (tc)');
  second.close();

  wire('one', 'other');
  const forced = daemon({ mode: 'xdp' });
  forced.refresh(netlink.links());
  t.same(on('one'), ['native', 'tcx tc_director']);
  t.same(on('bridge'), ['generic', 'tcx tc_director'], 'no driver there');
  t.match(told.splice(0).join('\n'), /^bridge: generic XDP, which is slower than tc: .*not supported/);
  t.same([...forced.redirectable()].sort(), [index('one'), index('other')].sort());
  forced.close();
  const unforced = daemon({ mode: 'auto' });
  unforced.refresh(netlink.links());
  t.same(
    [on('one'), on('bridge')],
    [['tcx tc_director'], ['tcx tc_director']],
    'XDP of an earlier daemon ends',
  );

  const stranger = attachXdp(load().program('xdp_director'), index('one'));
  const polite = daemon({ mode: 'xdp' });
  polite.refresh(netlink.links());
  t.equal(xdpOn(index('one'))?.programId, stranger.programId, "somebody else's XDP stays");
  t.match(told.join('\n'), 'one: tc only: the XDP program xdp_director of somebody else is there');
  stranger.detach();
  unforced.close();

  polite.detach();
  t.same([on('one'), on('bridge'), pins.attachments()], [[], [], []], 'all is gone');
  pins.remove();
  t.notOk(existsSync(join(root, 'directord')), 'and every directory');

  const old = daemon({ method: 'clsact' });
  old.refresh(netlink.links());
  t.same(on('one'), ['clsact tc_director']);
  const again = daemon({ method: 'clsact' });
  again.refresh(netlink.links());
  t.same(on('one'), ['clsact tc_director'], 'the same without tcx');
  old.close();
  again.close();
  t.same(on('one'), ['clsact tc_director']);
  detachFilters(netlink.links(), 'abcdef01');
  t.same(on('one'), ['clsact tc_director'], "another daemon's");
  detachFilters(netlink.links(), 'default');
  t.notMatch(ip('link show one'), 'clsact');
  t.same(on('one'), []);
  netlink.close();
  t.end();
});

void t.test('where things are', (t) => {
  const root = t.testdir();
  const pins = new Pins('default', 'v2', root);
  t.notOk(pins.exist);
  pins.prepare();
  t.ok(pins.exist);
  t.equal(pins.map('pool'), join(root, 'directord/v2/default/pool'));
  mkdirSync(join(root, 'directord/v1/default'), { recursive: true });
  mkdirSync(join(root, 'directord/v1/abcdef01'), { recursive: true });
  const [other, ...more] = pins.otherLayouts();
  t.equal(other?.directory, join(root, 'directord/v1/default'), 'what another version left');
  t.same(more, []);
  other?.remove();
  pins.remove();
  t.same(readdirSync(join(root, 'directord')), ['v1'], 'of another daemon nothing is touched');
  t.end();
});
