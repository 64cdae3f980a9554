import t from 'tap';
import { canonicalAddress } from '../../src/util/ip.ts';

t.test('IPv6 text as the C library writes it', (t) => {
  const texts = [
    ['::2', '::2'],
    ['::1:2', '::0.1.0.2'],
    ['::ffff', '::ffff'],
    ['::ffff:0:1', '::ffff:0.0.0.1'],
    ['::fffe:1:2', '::fffe:1:2'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1::2:0:0:3', '1::2:0:0:3'],
    ['0:1:2:3:4:5:6:7', '0:1:2:3:4:5:6:7'],
    ['64:FF9B::10.0.0.1', '64:ff9b::a00:1'],
  ] as const;
  for (const [given, text] of texts) t.equal(canonicalAddress(given), text);
  t.end();
});
