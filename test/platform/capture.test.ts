import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { captureFilter } from '../../src/engines/packet/capture/capture-filter.ts';
import type { Capture } from '../../src/platform/capture.ts';
import { openCapture } from '../../src/platform/capture.ts';
import { switchOffloadsOff } from '../../src/platform/offloads.ts';
import { until } from '../support/until.ts';
import { enterOwnNetwork, ip, linkAddress, skip, wire } from './own-network.ts';

if (skip === false) {
  enterOwnNetwork();
  wire('left', 'right');
  switchOffloadsOff('right');
}

const ringBytes = 2 << 20;
const virtual = '10.0.0.100';
const narrow = captureFilter({ virtual: [virtual], servers: [], own: [] });
const wide = captureFilter({ virtual: [virtual, '10.0.0.101'], servers: ['10.0.0.1'], own: [] });

/** A UDP packet to the virtual address with a number in it, in a frame to `to`. */
function numbered(to: Uint8Array, number: number, tag: readonly number[] = []): Buffer {
  const frame = Buffer.alloc(60 + tag.length);
  frame.set(to);
  frame.set([2, 0, 0, 0, 0, 1, ...tag, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17], 6);
  const header = 14 + tag.length;
  frame.set([10, 9, 9, 9, 10, 0, 0, 100], header + 12);
  frame.writeUInt32BE(number, header + 28);
  return frame;
}

/** A capture on `right`, and the numbers that came in. */
function receiver(ring = ringBytes): Capture & { readonly numbers: number[]; readonly lengths: number[] } {
  const numbers: number[] = [];
  const lengths: number[] = [];
  const capture = openCapture(
    'right',
    { ringBytes: ring },
    {
      frame: (buffer, length) => {
        if (buffer.readUInt16BE(12) !== 0x0800) return;
        lengths.push(length);
        numbers.push(buffer.readUInt32BE(14 + 28));
      },
    },
  );
  return { ...capture, numbers, lengths };
}

function sender(): Capture {
  return openCapture('left', { ringBytes: 1 << 20 }, { frame: () => undefined });
}

const nothing = { frame: (): void => undefined };

t.test('what people get to read when it cannot work', (t) => {
  const missing = (): never => {
    throw new Error("Cannot find module 'cap'\nRequire stack: ...");
  };
  t.throws(() => openCapture('lo', { ringBytes }, nothing, missing), {
    message:
      'the packet engine needs the npm package cap, built against libpcap (Debian: apt-get install libpcap-dev g++ ' +
      "make python3, then npm rebuild cap): Cannot find module 'cap'",
  });
  t.throws(() => openCapture('nosuch0', { ringBytes }, nothing), {
    message: 'there is no interface nosuch0',
  });
  t.end();
});

t.test('a link that is down cannot be opened, and costs nothing but the message', { skip }, (t) => {
  wire('idle', 'idler');
  ip('link set idle down');
  t.throws(() => openCapture('idle', { ringBytes }, nothing), {
    message: /^cannot capture on idle: .*not up/,
  });
  t.end();
});

t.test('frames arrive once there is a filter; what we send does not come back', { skip }, async (t) => {
  const from = sender();
  const to = receiver();
  const address = linkAddress('right');
  t.equal(to.link, 'ethernet');
  from.send(numbered(address, 1), 60);
  await sleep(50);
  t.same(to.numbers, [], 'no filter yet');
  to.setFilter(narrow);
  for (const number of [2, 3]) from.send(numbered(address, number), 60);
  const bySender = numbered(linkAddress('left'), 4);
  to.send(bySender, 60);
  from.send(numbered(linkAddress('left'), 5), 60);
  from.send(numbered(address, 6), 60);
  await until(() => to.numbers.length >= 3);
  await sleep(50);
  t.same(to.numbers, [2, 3, 6]);
  t.same(to.statistics(), { received: 3, dropped: 0 });
  t.match(ip('-d link show right'), /promiscuity 0/, 'not in promiscuous mode');
  from.close();
  to.close();
});

t.test('opened under traffic it is as quiet', { skip }, async (t) => {
  const flood = `const s = require('node:dgram').createSocket('udp4');
    const send = () => { for (let i = 0; i < 20; i++) s.send('flood', 9, '10.0.3.2'); setTimeout(send, 1); };
    s.bind(0, '10.0.3.1', send);`;
  ip('addr add 10.0.3.1/24 dev left');
  ip(
    `neigh add 10.0.3.2 lladdr ${Buffer.from(linkAddress('right')).toString('hex', 0).replace(/..\B/g, '$&:')} dev left`,
  );
  const source = spawn(process.execPath, ['-e', flood], { stdio: 'ignore' });
  const counted = (): number =>
    Number(/(\d+)/.exec(ip('-s link show right').split('RX:')[1]?.split('\n')[1] ?? '')?.[1]);
  const before = counted();
  await until(() => counted() > before + 10_000);
  let unasked = 0;
  for (let i = 0; i < 20; i++) {
    const capture = openCapture('right', { ringBytes }, { frame: () => unasked++ });
    await sleep(5);
    capture.close();
  }
  t.equal(unasked, 0);
  source.kill();
  await once(source, 'exit');
  ip('addr flush dev left');
});

t.test('a tag without a VLAN is taken off', { skip }, async (t) => {
  const from = sender();
  const to = receiver();
  to.setFilter(narrow);
  from.send(numbered(linkAddress('right'), 7, [0x81, 0, 0xe0, 0]), 64);
  from.send(numbered(linkAddress('right'), 8, [0x81, 0, 0, 5]), 64);
  from.send(numbered(linkAddress('right'), 9), 60);
  await until(() => to.numbers.length >= 2);
  t.same(to.numbers, [7, 9]);
  t.same(to.lengths, [60, 60]);
  from.close();
  to.close();
});

t.test('a thousand filters under traffic: no frame is lost, none comes twice', { skip }, async (t) => {
  const from = sender();
  const to = receiver(8 << 20);
  to.setFilter(narrow);
  const address = linkAddress('right');
  const rounds = 1000;
  const each = 10;
  const frame = numbered(address, 0);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < each; i++) {
      frame.writeUInt32BE(round * each + i, 14 + 28);
      from.send(frame, 60);
      if (i === 4) to.setFilter(round % 2 === 0 ? wide : narrow);
    }
    if (round % 20 === 0) await new Promise(setImmediate);
  }
  await until(() => to.numbers.length >= rounds * each);
  t.same(
    to.numbers,
    Array.from({ length: rounds * each }, (_, i) => i),
  );
  t.equal(to.statistics().dropped, 0);
  from.close();
  to.close();
});

t.test('a filter takes effect in the kernel, whatever was set before', { skip }, async (t) => {
  const from = sender();
  const to = receiver();
  const address = linkAddress('right');
  to.setFilter(captureFilter({ virtual: ['10.0.0.7'], servers: [], own: [] }));
  from.send(numbered(address, 1), 60);
  await sleep(20);
  to.setFilter(narrow);
  from.send(numbered(address, 2), 60);
  await until(() => to.numbers.length >= 1);
  t.same(to.numbers, [2]);
  t.throws(() => {
    to.setFilter(Uint8Array.from([0x20, 0, 0, 0, 0, 0, 0, 0]));
  }, 'a program that does not end is refused');
  from.close();
  to.close();
});

t.test('what the ring could not hold is counted', { skip }, async (t) => {
  const from = sender();
  const to = receiver(256 << 10);
  to.setFilter(narrow);
  const frame = numbered(linkAddress('right'), 0);
  const sent = 2000;
  // The receiver is the same thread: it cannot read meanwhile.
  for (let i = 0; i < sent; i++) from.send(frame, 60);
  const { received, dropped } = to.statistics();
  t.ok(dropped > 0, `${dropped} dropped`);
  t.equal(received + dropped, sent);
  await until(() => to.numbers.length >= received);
  t.equal(to.numbers.length, received);
  t.same(to.statistics(), { received: 0, dropped: 0 }, 'since the last call');
  from.close();
  to.close();
});

t.test('the link goes down and comes back, or goes for ever: the process lives', { skip }, async (t) => {
  const from = sender();
  const to = receiver();
  to.setFilter(narrow);
  await sleep(20);
  ip('link set right down');
  await sleep(50);
  t.throws(() => {
    to.send(numbered(linkAddress('left'), 1), 60);
  }, /Network is down/);
  ip('link set right up');
  from.send(numbered(linkAddress('right'), 2), 60);
  await until(() => to.numbers.length > 0);
  t.same(to.numbers, [2]);
  ip('link del left');
  const before = process.cpuUsage();
  await sleep(200);
  t.ok(process.cpuUsage(before).user < 100_000, 'it does not spin');
  to.close();
  to.close();
  t.throws(() => {
    to.send(numbered(new Uint8Array(6), 1), 60);
  }, /is closed/);
  from.close();
  wire('left', 'right');
});

t.test('descriptors are given back', { skip }, async (t) => {
  const count = (): number => readFileSync('/proc/self/net/packet', 'utf8').split('\n').length;
  const before = count();
  const open = [sender(), sender(), receiver()];
  await sleep(20);
  t.equal(count(), before + 3);
  for (const capture of open) capture.close();
  t.equal(count(), before);
  t.end();
});
