/** Records of a program arrive whole, in order, once, around the end of the buffer too; none are lost while there is room. */
import t from 'tap';
import { BpfObject } from '../../../src/platform/bpf/bpf-object.ts';
import { RingBuffer } from '../../../src/platform/bpf/ring-buffer.ts';
import { epollWait } from '../../../src/platform/libc.ts';
import { compile, skip } from './lab.ts';

t.test('records', { skip }, (t) => {
  const object = BpfObject.open(compile('maps'));
  object.load();
  const ring = new RingBuffer(object.map('records'));
  const program = object.program('on_xdp');
  const send = (number: number): void => {
    const data = Buffer.alloc(60);
    data.writeUInt32LE(number, 4);
    program.testRun({ data });
  };
  const events = Buffer.alloc(16);
  const read = (): number[] => {
    const numbers: number[] = [];
    const count = ring.consume((record) => {
      if (record.length !== 14) t.fail(`a record of ${record.length} bytes`);
      numbers.push(record.readUInt32LE(4));
    });
    if (count !== numbers.length) t.fail(`${count} records were announced`);
    return numbers;
  };

  t.same(read(), []);
  t.equal(epollWait(ring.epollFd, events, 1, 0), 0);
  const expected: number[] = [];
  const found: number[] = [];
  // 24 bytes each: three thousand of them go around 4096 bytes many times
  for (let number = 0; number < 3000; number++) {
    send(number);
    expected.push(number);
    if (number % 97 === 96) found.push(...read());
  }
  t.equal(epollWait(ring.epollFd, events, 1, 0), 1, 'somebody who waits is told');
  found.push(...read());
  t.same(found, expected);

  for (let number = 0; number < 300; number++) send(number);
  const kept = read();
  t.equal(kept.length, 170, 'what does not fit is dropped by the program');
  t.equal(kept[169], 169);

  send(1);
  send(2);
  t.throws(
    () =>
      ring.consume(() => {
        throw new Error('mine');
      }),
    /mine/,
  );
  t.same(read(), [2], 'a record that its reader failed on does not come again');
  ring.close();
  object.close();
  t.end();
});
