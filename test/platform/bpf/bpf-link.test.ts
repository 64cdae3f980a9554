/** Programs on interfaces: attached in every way, exchanged under traffic without a gap, handed to a later process, taken off. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Attachment } from '../../../src/platform/bpf/bpf-link.ts';
import { attachTc, attachXdp, openPinned, tcOn, xdpOn } from '../../../src/platform/bpf/bpf-link.ts';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import type { BpfProgram } from '../../../src/platform/bpf/bpf-program.ts';
import { listPins, makePinDirectory } from '../../../src/platform/bpf/bpffs.ts';
import { hasTcx } from '../../../src/platform/bpf/tcx.ts';
import { Netlink } from '../../../src/platform/netlink.ts';
import { FrameSender } from '../../support/frame-sender.ts';
import { enterOwnNetwork, ip, wire } from '../own-network.ts';
import { compile, ownBpffs, skip } from './lab.ts';

let bpffs = '';
let file = '';
if (skip === false) {
  bpffs = join(ownBpffs(), 'links');
  makePinDirectory(bpffs);
  file = compile('counting');
  enterOwnNetwork();
  wire('left', 'right');
}
const skipTcx = skip !== false ? skip : hasTcx() ? false : 'this kernel has no tcx';

function load(): BpfObject {
  const object = BpfObject.open(file);
  object.load();
  return object;
}

function indexOf(name: string): number {
  const netlink = new Netlink();
  const found = netlink.links().find((link) => link.name === name);
  netlink.close();
  return found?.index ?? 0;
}

/** Sends so many frames to `right`. */
function send(count: number): void {
  const sender = new FrameSender('left', 1, 60);
  sender.frame(0).fill(0xff, 0, 6);
  sender.frame(0).set([0x88, 0xb5], 12);
  for (let sent = 0; sent < count; sent++) sender.send(0, 1);
}

interface Way {
  readonly name: string;
  readonly kind: Attachment['kind'];
  readonly programs: 'xdp' | 'tc';
  readonly skip: string | false;
  attach(program: BpfProgram, index: number, pin?: string): Attachment;
}

const pinned = (pin?: string): { pin?: string } => (pin === undefined ? {} : { pin });
const ways: readonly Way[] = [
  {
    name: "the driver's XDP",
    kind: 'xdp',
    programs: 'xdp',
    skip,
    attach: (program, index, pin) => attachXdp(program, index, pinned(pin)),
  },
  {
    name: 'generic XDP',
    kind: 'xdp-generic',
    programs: 'xdp',
    skip,
    attach: (program, index, pin) => attachXdp(program, index, { generic: true, ...pinned(pin) }),
  },
  {
    name: 'tcx',
    kind: 'tcx',
    programs: 'tc',
    skip: skipTcx,
    attach: (program, index, pin) => attachTc(program, index, { method: 'tcx', ...pinned(pin) }),
  },
  {
    name: 'clsact',
    kind: 'clsact',
    programs: 'tc',
    skip,
    attach: (program, index, pin) => attachTc(program, index, { method: 'clsact', ...pinned(pin) }),
  },
];

/** What is on the interface, of whichever kind. */
function programsOn(index: number): number[] {
  const xdp = xdpOn(index);
  return [...(xdp === undefined ? [] : [xdp]), ...tcOn(index, 'ingress'), ...tcOn(index, 'egress')].map(
    ({ programId }) => programId,
  );
}

for (const way of ways) {
  t.test(`${way.name}: packets meet the program, then the other, then none`, { skip: way.skip }, (t) => {
    const right = indexOf('right');
    const object = load();
    const met = new BigUint64Array(object.map('met').view());
    const first = object.program(`first_${way.programs}`);
    const second = object.program(`second_${way.programs}`);

    const attachment = way.attach(first, right);
    t.match(attachment, { kind: way.kind, interfaceIndex: right, programId: first.id });
    t.same(programsOn(right), [first.id]);
    send(10);
    attachment.replace(second);
    t.equal(attachment.programId, second.id);
    send(20);
    t.same([...met.subarray(0, 2)], [10n, 20n]);

    attachment.detach();
    t.same(programsOn(right), []);
    t.notMatch(ip('-d link show right'), /xdp/);
    send(5);
    t.same([...met.subarray(0, 2)], [10n, 20n]);
    object.close();
    t.end();
  });

  t.test(`${way.name}: the next process finds it and exchanges it in place`, { skip: way.skip }, (t) => {
    const right = indexOf('right');
    const pin = join(bpffs, `link-${way.kind}`);
    const before = load();
    way.attach(before.program(`first_${way.programs}`), right, pin).close();
    before.close();
    t.equal(programsOn(right).length, 1, 'it stays when everything here is closed');

    const after = load();
    const program = after.program(`second_${way.programs}`);
    const attachment = way.attach(program, right, pin);
    t.equal(attachment.kind, way.kind);
    t.same(programsOn(right), [program.id]);
    attachment.detach();
    t.same(programsOn(right), []);
    t.same(listPins(bpffs), []);
    t.equal(openPinned(pin), undefined);
    after.close();
    t.end();
  });

  t.test(`${way.name}: exchanged under traffic, no packet gets by`, { skip: way.skip }, async (t) => {
    const frames = 40_000;
    const object = load();
    const met = new BigUint64Array(object.map('met').view());
    const programs = [
      object.program(`first_${way.programs}`),
      object.program(`second_${way.programs}`),
    ] as const;
    const right = indexOf('right');
    const pin = join(bpffs, 'busy');
    let attachment = way.attach(programs[0], right, pin);
    /** By whoever attached the one before, or by a process that comes after it. */
    const exchange = (program: BpfProgram, successor: boolean): void => {
      if (!successor) {
        attachment.replace(program);
        return;
      }
      attachment.close();
      attachment = way.attach(program, right, pin);
    };
    const flood = fileURLToPath(new URL('flood.ts', import.meta.url));
    const child = spawn(process.execPath, [...process.execArgv, flood, 'left', String(frames)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    let exchanges = 0;
    while (child.exitCode === null && child.signalCode === null) {
      if (met[0] !== 0n) exchange(programs[++exchanges % 2 === 0 ? 0 : 1], exchanges % 3 === 0);
      await sleep(0);
    }
    t.same(await ended, [0, null]);
    t.ok(exchanges >= 4, `${exchanges} exchanges`);
    const [first = 0n, second = 0n] = met;
    t.ok(first > 0n && second > 0n);
    t.equal(Number(first + second), frames);
    attachment.detach();
    object.close();
  });
}

t.test('somebody else has an XDP program there', { skip }, (t) => {
  const right = indexOf('right');
  const object = load();
  const other = attachXdp(object.program('first_xdp'), right, { generic: true });
  t.match(xdpOn(right), { mode: 'generic', name: 'first_xdp', programId: other.programId });
  for (const generic of [true, false]) {
    t.throws(
      () => attachXdp(object.program('second_xdp'), right, { generic }),
      /attaching the program second_xdp to right .*\n {2}the generic XDP program first_xdp \(id \d+\) is on it/,
    );
  }
  other.detach();
  t.equal(xdpOn(right), undefined);
  t.throws(() => attachXdp(object.program('second_xdp'), 9999), /to interface 9999/);
  object.close();
  t.end();
});

t.test('tc programs of others stay, before and after ours', { skip }, (t) => {
  const right = indexOf('right');
  const object = load();
  const mine = object.program('second_tc');
  const other = attachTc(object.program('first_tc'), right, {
    method: 'clsact',
    clsact: { priority: 7, handle: 7 },
  });
  const ours = attachTc(mine, right, { method: 'clsact' });
  const egress = attachTc(mine, right, { method: 'clsact', direction: 'egress' });
  t.same(
    tcOn(right, 'ingress').map(({ kind, name }) => [kind, name]),
    [
      ['clsact', 'first_tc'],
      ['clsact', 'second_tc'],
    ],
  );
  ours.detach();
  egress.detach();
  t.same(programsOn(right), [object.program('first_tc').id]);
  t.match(ip('link show right'), /right/);
  other.detach();
  t.same(programsOn(right), []);
  ours.detach();
  object.close();
  t.end();
});

t.test('on the loopback interface, both ways', { skip }, (t) => {
  const object = load();
  for (const direction of ['ingress', 'egress'] as const) {
    const attachment = attachTc(object.program('first_tc'), 1, { direction });
    t.equal(tcOn(1, direction).length, 1);
    attachment.detach();
    t.equal(tcOn(1, direction).length, 0);
  }
  object.close();
  t.end();
});

t.test('an interface that goes away, and its pin', { skip }, (t) => {
  ip('link add gone type veth peer name gone2');
  const object = load();
  const pin = join(bpffs, 'gone');
  const attachment = attachXdp(object.program('first_xdp'), indexOf('gone'), { generic: true, pin });
  const filter = attachTc(object.program('first_tc'), indexOf('gone'), { method: 'clsact' });
  ip('link del gone');
  t.equal(attachment.interfaceIndex, 0);
  t.equal(filter.interfaceIndex, 0);
  t.equal(filter.programId, 0);
  filter.detach();
  attachment.close();
  // the next interface is another one: the old link is of no use to it
  const next = attachXdp(object.program('first_xdp'), indexOf('right'), { generic: true, pin });
  t.equal(next.interfaceIndex, indexOf('right'));
  next.detach();
  t.same(listPins(bpffs), []);
  object.close();
  t.end();
});
