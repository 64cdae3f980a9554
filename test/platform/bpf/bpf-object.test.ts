/** What becomes of a compiled file: constants and sizes set, pinned maps taken over, and refusals that a person can act on. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { BpfError } from '../../../src/platform/bpf/bpf-error.ts';
import { BpfMap, MapType } from '../../../src/platform/bpf/bpf-map.ts';
import { BpfObject, PinMismatchError } from '../../../src/platform/bpf/bpf-object.ts';
import { listPins, makePinDirectory, removePins } from '../../../src/platform/bpf/bpffs.ts';
import { compile, ownBpffs, skip, wide, word } from './lab.ts';

const bpffs = skip === false ? ownBpffs() : '';
const maps = skip === false ? compile('maps') : '';

function failure<Kind extends Error>(kind: new (...all: never[]) => Kind, work: () => unknown): Kind {
  try {
    work();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error('it worked');
}

t.test('the verifier refuses: which program, why, and its last lines only', { skip }, (t) => {
  const object = BpfObject.open(compile('refused'));
  const { message, code, verifierLog } = failure(BpfError, () => {
    object.load();
  });
  t.equal(code, 'EACCES');
  t.match(message, /^loading .*refused\.bpf\.o: Permission denied\n {2}prog 'careless': /);
  const [, last = ''] = message.split("the verifier's last lines:\n");
  t.match(last, /invalid access to packet, off=20 size=1/);
  t.match(last, /processed \d+ insns/);
  const shown = last.split('\n').length;
  t.equal(shown, 16);
  t.match(last, /^ *\(\d+ lines before\)\n/);
  t.ok(verifierLog.split('\n').length > shown, 'the whole log is there for who wants it');
  object.close();
  t.end();
});

t.test('files that are none', { skip }, (t) => {
  t.match(
    failure(Error, () => BpfObject.open('/nowhere/x.o')).message,
    /opening \/nowhere\/x\.o: No such file/,
  );
  const text = join(compile('refused'), '..', 'text.o');
  writeFileSync(text, 'not a program\n');
  t.match(failure(Error, () => BpfObject.open(text)).message, /not a proper ELF object/);
  const wrong = [{ mapSizes: { absent: 3 } }, { constants: { absent: 3 } }, { without: ['absent'] }] as const;
  for (const options of wrong)
    t.match(failure(Error, () => BpfObject.open(maps, options)).message, /has no .*absent$/);
  t.match(
    failure(Error, () => BpfObject.open(maps, { constants: { mac: new Uint8Array(5) } })).message,
    /6 bytes, not 5/,
  );
  t.end();
});

t.test('sizes, constants, and no programs that are left out', { skip }, (t) => {
  const object = BpfObject.open(maps, {
    mapSizes: { table: 1000 },
    constants: { answer: 2, mac: Uint8Array.of(1, 2, 3, 4, 5, 6) },
    without: ['on_tc'],
  });
  t.same(object.programNames, ['on_xdp', 'on_tc']);
  t.throws(() => object.program('on_xdp'), /on_xdp, which is not loaded/);
  object.load();
  t.equal(object.map('table').maxEntries, 1000);
  t.ok(object.map('.rodata').valueSize >= 18);
  t.throws(() => object.program('on_tc'), /on_tc, which is not loaded/);
  t.throws(() => object.program('absent'), /no program absent/);
  const { returnValue, data } = object.program('on_xdp').testRun({ data: new Uint8Array(60) });
  t.equal(returnValue, 2);
  t.equal(data[0], 6);
  object.close();
  t.throws(() => object.map('table'), /is closed/);
  t.end();
});

t.test('what is pinned outlives the object, and the next takes it over with what it holds', { skip }, (t) => {
  const pinDirectory = join(bpffs, 'kept');
  makePinDirectory(pinDirectory);
  const options = { pinDirectory, pinned: (name: string) => name !== 'records' };
  const first = BpfObject.open(maps, options);
  first.load();
  t.same(first.reused, []);
  first.map('table').update(word(7), wide(70));
  first.close();
  t.same(listPins(pinDirectory), ['counts', 'shared', 'table']);

  const second = BpfObject.open(maps, options);
  t.same(second.reused, ['shared', 'counts', 'table']);
  second.load();
  t.same(second.map('table').lookup(word(7)), wide(70));
  second.close();

  removePins(pinDirectory);
  t.same(listPins(pinDirectory), []);
  t.end();
});

t.test('a pinned map of another size or layout is said, all at once, and left alone', { skip }, (t) => {
  const pinDirectory = join(bpffs, 'other');
  makePinDirectory(pinDirectory);
  const shape = { type: MapType.array, keySize: 4, valueSize: 16, maxEntries: 4, flags: 0 };
  const other = BpfMap.create({ ...shape, name: 'shared' });
  other.pin(join(pinDirectory, 'shared'));
  other.close();
  const table = BpfMap.create({ ...shape, type: MapType.hash, valueSize: 8, name: 'table' });
  table.pin(join(pinDirectory, 'table'));
  table.close();

  const error = failure(PinMismatchError, () => BpfObject.open(maps, { pinDirectory }));
  t.same(
    error.mismatches.map(({ map }) => map),
    ['shared', 'table'],
  );
  t.match(
    error.message,
    /other\/shared has value size 16, not 8, flags 0, not 1024; .*other\/table has number of entries 4, not 8/,
  );
  t.same(listPins(pinDirectory), ['shared', 'table']);
  removePins(pinDirectory);
  t.end();
});
