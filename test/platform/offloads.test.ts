import { execFileSync } from 'node:child_process';
import t from 'tap';
import { captureFilter } from '../../src/engines/packet/capture/capture-filter.ts';
import { openCapture } from '../../src/platform/capture.ts';
import type { OffloadChange } from '../../src/platform/offloads.ts';
import { offloadsOn, restoreOffloads, switchOffloadsOff } from '../../src/platform/offloads.ts';
import { enterOwnNetwork, ip, linkAddress, skip, wire } from './own-network.ts';

if (skip === false) {
  enterOwnNetwork();
  wire('left', 'right');
}

/** `ethtool -k`, as another witness. */
const features = (name: string): string => execFileSync('ethtool', ['-k', name], { encoding: 'utf8' });
const feature = (name: string, which: string): string | undefined =>
  new RegExp(`^\\s*${which}: (\\w+)`, 'm').exec(features(name))?.[1];

t.test('off, and back exactly as it was', { skip }, (t) => {
  execFileSync('ethtool', ['-K', 'left', 'gro', 'on', 'rx-udp-gro-forwarding', 'on', 'tso', 'off']);
  execFileSync('ethtool', ['-K', 'left', 'tx-tcp6-segmentation', 'on']);
  const before = features('left');
  t.same([...offloadsOn('left')].sort(), [
    'rx-gro',
    'rx-udp-gro-forwarding',
    'tx-generic-segmentation',
    'tx-tcp6-segmentation',
  ]);
  const change = switchOffloadsOff('left');
  t.same(change.refused, []);
  t.equal(change.switchedOff.length, 4);
  t.same(offloadsOn('left'), []);
  t.equal(feature('left', 'generic-receive-offload'), 'off');
  t.equal(feature('left', 'tcp-segmentation-offload'), 'off');
  t.equal(feature('left', 'tx-checksumming'), 'on', 'not in the way');
  t.same(switchOffloadsOff('left').switchedOff, [], 'nothing left to do');
  change.restore();
  t.equal(features('left'), before);
  t.end();
});

t.test('after a crash another process puts it back', { skip }, (t) => {
  const before = features('left');
  const written = JSON.stringify(switchOffloadsOff('left'));
  t.not(features('left'), before);
  restoreOffloads(JSON.parse(written) as OffloadChange);
  t.equal(features('left'), before);
  t.end();
});

t.test('no such interface', { skip }, (t) => {
  t.throws(() => switchOffloadsOff('nosuch0'), /nosuch0: ethtool: No such device/);
  t.end();
});

t.test('the ring: a slot for each frame, or for whole segments of a neighbour', { skip }, (t) => {
  const slots = (): number => {
    const from = openCapture('left', { ringBytes: 1 << 20 }, { frame: () => undefined });
    const to = openCapture('right', { ringBytes: 1 << 20 }, { frame: () => undefined });
    to.setFilter(captureFilter({ virtual: ['10.0.0.100'], servers: [], own: [] }));
    const frame = Buffer.alloc(60);
    frame.set(linkAddress('right'));
    frame.set([8, 6], 12);
    for (let i = 0; i < 1000; i++) from.send(frame, 60);
    const { received } = to.statistics();
    from.close();
    to.close();
    return received;
  };
  const large = switchOffloadsOff('right', 'large');
  const few = slots();
  const mtu = switchOffloadsOff('right');
  const many = slots();
  t.ok(few < 20, `${few} slots in 1 MiB`);
  t.ok(many > 500, `${many} slots in 1 MiB`);
  mtu.restore();
  large.restore();
  ip('link del left');
  t.end();
});
