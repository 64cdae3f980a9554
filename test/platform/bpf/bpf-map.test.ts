/** Maps as the engine uses them: single entries, thousands at once, sums over CPUs, and memory shared with the programs. */
import t from 'tap';
import {
  BPF_EXIST,
  BPF_F_MMAPABLE,
  BPF_NOEXIST,
  BpfMap,
  MapType,
  possibleCpus,
} from '../../../src/platform/bpf/bpf-map.ts';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import { compile, skip, wide, word } from './lab.ts';

const hash = { type: MapType.hash, keySize: 4, valueSize: 8, flags: 0 };
const all = (map: BpfMap): Map<number, bigint> =>
  new Map(Array.from(map.entries(), ([key, value]) => [key.readUInt32LE(), value.readBigUInt64LE()]));

/** Keys 0 ... and ten times as much. */
function numbers(count: number): [keys: Uint8Array, values: Uint8Array] {
  const keys = Uint32Array.from({ length: count }, (_, index) => index);
  const values = BigUint64Array.from(keys, (key) => BigInt(key * 10));
  return [new Uint8Array(keys.buffer), new Uint8Array(values.buffer)];
}

t.test('one entry', { skip }, (t) => {
  const map = BpfMap.create({ ...hash, name: 'few', maxEntries: 2 });
  t.match(map, { name: 'few', keySize: 4, valueSize: 8, maxEntries: 2, type: MapType.hash });
  t.equal(map.lookup(word(1)), undefined);
  t.equal(map.update(word(1), wide(10), BPF_EXIST), false);
  t.equal(map.update(word(1), wide(10), BPF_NOEXIST), true);
  t.equal(map.update(word(1), wide(11), BPF_NOEXIST), false);
  t.same(map.lookup(word(1)), wide(10));
  t.equal(map.update(word(1), wide(12)), true);
  t.same(all(map), new Map([[1, 12n]]));
  map.update(word(2), wide(20));
  t.throws(() => map.update(word(3), wide(30)), /^writing the map few: Argument list too long/);
  t.equal(map.delete(word(1)), true);
  t.equal(map.delete(word(1)), false);
  t.same([...map.keys()], [word(2)]);
  t.throws(() => map.lookup(Buffer.alloc(3)), /map few: a key of 3 bytes, not 4/);
  t.throws(() => map.update(word(1), word(1)), /map few: a value of 4 bytes, not 8/);
  map.close();
  t.throws(() => map.lookup(word(1)), /the map few is closed/);
  t.end();
});

t.test('fifty thousand entries at once, fast', { skip }, (t) => {
  const count = 50_000;
  const map = BpfMap.create({ ...hash, name: 'many', maxEntries: count });
  const [keys, values] = numbers(count);
  const before = performance.now();
  map.updateBatch(keys, values);
  const took = performance.now() - before;
  t.ok(took < 200, `${took.toFixed(0)} ms`);
  const found = all(map);
  t.equal(found.size, count);
  t.ok([...found].every(([key, value]) => value === BigInt(key * 10)));
  // small batches meet hash buckets that are larger than a batch
  t.equal(
    [...map.batches(1)].reduce((sum, batch) => sum + batch.count, 0),
    count,
  );
  const odd = Uint32Array.from({ length: count / 2 }, (_, index) => index * 2 + 1);
  odd[3] = 99_999;
  map.deleteBatch(new Uint8Array(odd.buffer));
  const left = all(map);
  t.equal(left.size, count / 2 + 1, 'a key that is not there does not stop the others');
  t.ok(left.has(7));
  t.throws(() => {
    map.updateBatch(keys.subarray(0, 8), values.subarray(0, 8));
  }, /values of 2 entries of 8 bytes, not 16/);
  map.close();
  t.end();
});

t.test('maps that know no batches work the same', { skip }, (t) => {
  // prefix length, then the address
  const map = BpfMap.create({
    type: MapType.lpmTrie,
    name: 'trie',
    keySize: 8,
    valueSize: 8,
    maxEntries: 100,
    flags: 1,
  });
  const keys = Buffer.concat([10, 11, 12].flatMap((net) => [word(8), Buffer.from([net, 0, 0, 0])]));
  map.updateBatch(keys, Buffer.concat([wide(1), wide(2), wide(3)]));
  t.same(
    [...map.entries()].map(([key, value]) => [key[4], value[0]]),
    [
      [10, 1],
      [11, 2],
      [12, 3],
    ],
  );
  map.deleteBatch(keys.subarray(0, 16));
  t.same([...map.keys()], [keys.subarray(16)]);
  map.close();
  t.end();
});

t.test('counters that each CPU has of its own', { skip }, (t) => {
  const cpus = possibleCpus();
  const map = BpfMap.create({
    type: MapType.percpuArray,
    name: 'counts',
    keySize: 4,
    valueSize: 16,
    maxEntries: 2000,
    flags: 0,
  });
  t.equal(map.valueBytes, 16 * cpus);
  const each = Buffer.concat(Array.from({ length: cpus }, (_, cpu) => [wide(cpu + 1), wide(2 ** 40)]).flat());
  map.update(word(1999), each);
  t.same(map.lookupPerCpu(word(1999)), each);
  const sums = map.sumPerCpu();
  t.equal(sums.length, 4000);
  t.equal(sums[3998], (cpus * (cpus + 1)) / 2);
  t.equal(sums[3999], 2 ** 40 * cpus);
  t.equal(
    sums.subarray(0, 3998).reduce((sum, value) => sum + value),
    0,
  );
  map.close();
  t.end();
});

t.test('memory that programs and JavaScript share', { skip }, (t) => {
  const object = BpfObject.open(compile('maps'));
  object.load();
  const map = object.map('shared');
  const memory = map.view();
  const words = new BigUint64Array(memory);
  t.equal(memory.byteLength % 4096, 0);
  t.equal(map.view(), memory, 'one mapping, however often it is asked for');
  const program = object.program('on_xdp');
  program.testRun({ data: new Uint8Array(60), repeat: 5 });
  t.equal(words[1], 5n, 'what the program counted');
  words[1] = 1000n;
  program.testRun({ data: new Uint8Array(60) });
  t.equal(words[1], 1001n, 'the program went on from what JavaScript wrote');
  t.same(map.lookup(word(1)), wide(1001));
  t.throws(() => object.map('table').view(), /mapping the map table/);
  object.close();
  words[1] = 5n;
  t.equal(words[1], 5n, 'who kept the memory does not crash');
  t.end();
});

t.test('the last word of a map is in its memory', { skip }, (t) => {
  const map = BpfMap.create({
    type: MapType.array,
    name: 'large',
    keySize: 4,
    valueSize: 64,
    maxEntries: 2 ** 16,
    flags: BPF_F_MMAPABLE,
  });
  const words = new Int32Array(map.view());
  t.equal(words.length, 2 ** 20);
  Atomics.add(words, words.length - 1, 41);
  t.equal(map.lookup(word(2 ** 16 - 1))?.readInt32LE(60), 41);
  map.close();
  t.end();
});
