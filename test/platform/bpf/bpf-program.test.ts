/** Programs run on packets that no interface ever saw, and what the kernel says about them. */
import { join } from 'node:path';
import t from 'tap';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import { BpfProgram, programById } from '../../../src/platform/bpf/bpf-program.ts';
import { removePin } from '../../../src/platform/bpf/bpffs.ts';
import { compile, ownBpffs, skip } from './lab.ts';

const bpffs = skip === false ? ownBpffs() : '';

function load(): BpfObject {
  const object = BpfObject.open(compile('maps'), {
    constants: { answer: 3, mac: Uint8Array.of(0, 0, 0, 0, 0, 9), wide: 20 },
  });
  object.load();
  return object;
}

t.test('XDP: the answer, the packet as it was left, the time', { skip }, (t) => {
  const object = load();
  const data = Uint8Array.from({ length: 64 }, (_, index) => index);
  const result = object.program('on_xdp').testRun({ data });
  t.equal(result.returnValue, 3);
  t.equal(result.data.length, 84, 'the packet grew at its front');
  t.equal(result.data[20], 9);
  t.same(result.data.subarray(21), Buffer.from(data.subarray(1)));
  t.equal(result.context, undefined);
  t.ok(result.nanoseconds > 0);
  t.equal(data[0], 0, 'what was given is not changed');
  t.throws(
    () => object.program('on_xdp').testRun({ data, dataOutSize: 10 }),
    /running the program on_xdp on 64 bytes: No space left/,
  );
  t.throws(
    () => object.program('on_xdp').testRun({ data: new Uint8Array(3) }),
    /on 3 bytes: Invalid argument/,
  );
  object.close();
  t.end();
});

t.test('XDP: on the interface that the context says', { skip }, (t) => {
  const object = load();
  // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
  const context = Buffer.alloc(24);
  context.writeUInt32LE(60, 4);
  context.writeUInt32LE(1, 12);
  const result = object.program('on_xdp').testRun({ data: new Uint8Array(60), context });
  t.equal(result.returnValue, 3);
  t.same(
    [4, 12].map((at) => result.context?.readUInt32LE(at)),
    [80, 1],
  );
  object.close();
  t.end();
});

t.test('tc: with a context in and out', { skip }, (t) => {
  const object = load();
  // struct __sk_buff: mark at 8, cb at 48
  const context = Buffer.alloc(192);
  context.writeUInt32LE(41, 8);
  const result = object.program('on_tc').testRun({ data: new Uint8Array(60), context });
  t.equal(result.returnValue, 3);
  t.equal(result.context?.readUInt32LE(48), 42);
  t.equal(result.data.length, 60);
  object.close();
  t.end();
});

t.test('what the kernel knows, and a pin that outlives the object', { skip }, (t) => {
  const object = load();
  const program = object.program('on_xdp');
  const { info } = program;
  t.match(info, { id: program.id, name: 'on_xdp', type: 6, tag: /^[0-9a-f]{16}$/ });
  t.ok(info.translatedLength > 0);
  t.ok(info.loadTime > 0n);
  const used = ['shared', 'counts', 'records', '.rodata'].map((name) => object.map(name).id);
  t.same(info.mapIds.toSorted(), used.toSorted());
  t.equal(programById(program.id)?.tag, info.tag);

  const path = join(bpffs, 'program');
  program.pin(path);
  t.throws(() => {
    program.pin(path);
  }, /pinning the program on_xdp at .*: File exists/);
  object.close();
  const again = BpfProgram.openPinned(path);
  t.match(again.info, { id: info.id, tag: info.tag });
  t.equal(again.testRun({ data: new Uint8Array(60) }).returnValue, 3);
  again.close();
  t.equal(removePin(path), true);
  t.equal(removePin(path), false);
  t.throws(() => BpfProgram.openPinned(path), { code: 'ENOENT' });
  t.end();
});
