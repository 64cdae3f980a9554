import t from 'tap';
import { element, elements, firstElement, number, numberOf, tags } from '../../../src/monitor/checks/ber.ts';

const limit = 1000;

void t.test('emits', (t) => {
  t.equal(number(tags.integer, 3).toString('hex'), '020103');
  t.equal(element(tags.octets, 'cn=a').toString('hex'), '0404636e3d61');
  t.equal(element(tags.sequence).toString('hex'), '3000');
  t.equal(element(tags.octets, Buffer.alloc(128)).subarray(0, 3).toString('hex'), '048180', 'a long one');
  t.equal(element(tags.octets, Buffer.alloc(300)).subarray(0, 4).toString('hex'), '0482012c', 'a longer one');
  t.end();
});

void t.test('parses what it emits', (t) => {
  for (const length of [0, 1, 127, 128, 255, 256, 900]) {
    const bytes = element(tags.octets, Buffer.alloc(length, 7));
    const found = firstElement(Buffer.concat([bytes, Buffer.from('more')]), limit);
    t.equal(found?.size, bytes.length);
    t.equal(found?.element.contents.length, length);
    for (const short of [0, 1, 2, bytes.length - 1])
      if (short < bytes.length)
        t.equal(firstElement(bytes.subarray(0, short), limit), undefined, 'needs more');
  }
  t.equal(numberOf({ tag: tags.integer, contents: Buffer.from([0x00, 0xff]) }), 255);
  t.equal(numberOf({ tag: tags.enumerated, contents: Buffer.from([0xff]) }), -1);
  t.end();
});

void t.test('rejects what is not LDAP', (t) => {
  const parse = (hex: string) => () => firstElement(Buffer.from(hex, 'hex'), limit);
  t.throws(parse('1f01'), 'a long tag');
  t.throws(parse('3080'), 'an indefinite length');
  t.throws(parse('3085'), 'a length of five bytes');
  t.throws(parse('308400ffffff'), 'a length beyond the limit');
  const children = (hex: string) => () => elements({ tag: tags.sequence, contents: Buffer.from(hex, 'hex') });
  t.throws(children('0201'), 'cut off');
  t.throws(children('02030101'), 'longer than what it is in');
  t.throws(() => numberOf({ tag: tags.octets, contents: Buffer.from([1]) }));
  t.throws(() => numberOf({ tag: tags.integer, contents: Buffer.alloc(0) }));
  t.throws(() => numberOf({ tag: tags.integer, contents: Buffer.alloc(7) }));
  t.end();
});
