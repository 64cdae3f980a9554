/** The hash in 32-bit words against SipHash-1-3 as the paper writes it, in 64-bit integers. */
import fc from 'fast-check';
import t from 'tap';
import { hsiphash } from '../../src/scheduling/hsiphash.ts';

void t.test('hsiphash is the low half of SipHash-1-3', (t) => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 });
  t.doesNotThrow(() => {
    fc.assert(
      fc.property(word, fc.nat(2 ** 32 - 1), (value, key) => {
        return hsiphash(value, key) === Number(sipHash13(BigInt(value >>> 0), BigInt(key)) & 0xffffffffn);
      }),
      { numRuns: 1000 },
    );
  });
  t.end();
});

/** Of a message of 4 bytes. */
function sipHash13(message: bigint, key: bigint): bigint {
  const block = (4n << 56n) | message;
  let [v0, v1, v2, v3] = [
    key ^ 0x736f6d6570736575n,
    key ^ 0x646f72616e646f6dn,
    key ^ 0x6c7967656e657261n,
    key ^ 0x7465646279746573n,
  ];
  const round = () => {
    v0 = cut(v0 + v1);
    v1 = left(v1, 13n) ^ v0;
    v0 = left(v0, 32n);
    v2 = cut(v2 + v3);
    v3 = left(v3, 16n) ^ v2;
    v0 = cut(v0 + v3);
    v3 = left(v3, 21n) ^ v0;
    v2 = cut(v2 + v1);
    v1 = left(v1, 17n) ^ v2;
    v2 = left(v2, 32n);
  };
  v3 ^= block;
  round();
  v0 ^= block;
  v2 ^= 0xffn;
  for (let finishing = 0; finishing < 3; finishing++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

function cut(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function left(value: bigint, bits: bigint): bigint {
  return cut(value << bits) | (value >> (64n - bits));
}
