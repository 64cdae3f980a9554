import fc from 'fast-check';
import t from 'tap';
import type { FilterSpec } from '../../../src/engines/packet/capture/capture-filter.ts';
import { captureFilter } from '../../../src/engines/packet/capture/capture-filter.ts';
import type { Address } from '../../../src/util/ip.ts';
import { addressBytes, familyOf, formatAddress } from '../../../src/util/ip.ts';
import type { Frame } from './bpf-interpreter.ts';
import { run } from './bpf-interpreter.ts';

const host = 0;
const broadcast = 1;
const multicast = 2;
const udp = 17;

interface Ip {
  readonly from: Address;
  readonly to: Address;
  readonly protocol?: number;
  readonly type?: number;
  readonly options?: number;
  readonly fragment?: number;
}

/** An Ethernet frame with an IP packet of 8 bytes of payload. */
function ip({ from, to, protocol = udp, type = 0, options = 0, fragment = 0 }: Ip): Frame {
  const inet = familyOf(from) === 'inet';
  const header = inet ? 20 + options : 40;
  const bytes = new Uint8Array(14 + header + 8);
  bytes[14] = inet ? 0x40 | (header / 4) : 0x60;
  bytes[14 + (inet ? 9 : 6)] = protocol;
  if (inet) bytes.set([(fragment >> 8) & 0xff, fragment & 0xff], 14 + 6);
  bytes.set(addressBytes(from), 14 + (inet ? 12 : 8));
  bytes.set(addressBytes(to), 14 + (inet ? 16 : 24));
  bytes[14 + header] = type;
  return { bytes, packetType: host, protocol: inet ? 0x0800 : 0x86dd };
}

const arp: Frame = { bytes: new Uint8Array(42), packetType: broadcast, protocol: 0x0806 };

const small: FilterSpec = {
  virtual: ['10.0.0.100', '2001:db8::100'],
  servers: ['192.168.1.1', '192.168.1.2', '2001:db8:1::1'],
  own: ['10.0.0.100', '10.0.0.1', '192.168.1.254', '2001:db8::1', '2001:db8::100'],
};
const filter = captureFilter(small);
const accepts = (frame: Frame, program = filter): boolean => run(program, frame) > 0;

t.test('frames for the engine come in', (t) => {
  t.ok(accepts(ip({ from: '203.0.113.5', to: '10.0.0.100' })), 'a client to the virtual address');
  t.ok(accepts(ip({ from: '2001:db8:9::5', to: '2001:db8::100' })), 'IPv6');
  t.ok(accepts(ip({ from: '192.168.1.2', to: '203.0.113.5' })), 'a reply of a real server');
  t.ok(accepts(ip({ from: '2001:db8:1::1', to: '2001:db8:9::5' })), 'IPv6');
  t.ok(accepts(ip({ from: '203.0.113.5', to: '10.0.0.100', fragment: 185 })), 'a later fragment');
  t.ok(accepts(arp), 'ARP by broadcast');
  t.ok(accepts({ ...arp, packetType: host }), 'an ARP reply');
  t.ok(accepts(ip({ from: 'fe80::1', to: 'fe80::2', protocol: 58, type: 136 })), 'an advertisement');
  const solicitation = ip({ from: 'fe80::1', to: 'ff02::1:ff00:1', protocol: 58, type: 135 });
  t.ok(accepts({ ...solicitation, packetType: multicast }), 'a solicitation by multicast');
  const priority = { ...ip({ from: '203.0.113.5', to: '10.0.0.100' }), vlan: 0xe000 };
  t.ok(accepts(priority), 'a tag that carries only a priority');
  t.end();
});

t.test('ICMP errors of any router come in', (t) => {
  const router = { from: '203.0.113.77', to: '203.0.113.5', protocol: 1 };
  t.ok(accepts(ip({ ...router, type: 3 })), 'about a packet that this host routes');
  t.ok(accepts(ip({ ...router, to: '10.0.0.1', type: 3 })), 'about a tunnel of this host');
  t.ok(accepts(ip({ ...router, type: 11, options: 8 })), 'behind IP options');
  t.notOk(accepts(ip({ ...router, type: 8 })), 'no echo request');
  t.notOk(accepts(ip({ ...router, type: 3, fragment: 185 })), 'no later fragment');
  const tooBig = { from: '2001:db8:77::1', to: '2001:db8:9::5', protocol: 58 };
  t.ok(accepts(ip({ ...tooBig, type: 2 })), 'packet too big');
  t.notOk(accepts(ip({ ...tooBig, type: 128 })), 'no ICMPv6 echo');
  t.end();
});

t.test('everything else stays outside', (t) => {
  const toVip = ip({ from: '203.0.113.5', to: '10.0.0.100' });
  t.notOk(accepts({ ...toVip, packetType: 4 }), 'what this host sends: it would come round for ever');
  t.notOk(accepts({ ...toVip, packetType: 3 }), 'to another host on the segment');
  t.notOk(accepts({ ...toVip, packetType: broadcast }), 'IP by link broadcast');
  t.notOk(accepts({ ...toVip, vlan: 7 }), 'a frame of a VLAN');
  t.notOk(accepts({ ...arp, vlan: 7 }), 'ARP of a VLAN');
  t.notOk(accepts(ip({ from: '203.0.113.5', to: '10.0.0.1' })), 'to this host');
  t.notOk(accepts(ip({ from: '192.168.1.1', to: '192.168.1.254' })), 'a health check is answered');
  t.notOk(accepts(ip({ from: '203.0.113.5', to: '198.51.100.1' })), 'what this host routes');
  t.notOk(accepts({ ...toVip, protocol: 0x88cc }), 'another protocol');
  t.notOk(accepts({ ...toVip, bytes: toVip.bytes.subarray(0, 28) }), 'a frame that ends in the header');
  t.end();
});

t.test('a link without frame headers', (t) => {
  const raw = captureFilter(small, { link: 'raw' });
  const cut = (frame: Frame): Frame => ({ ...frame, bytes: frame.bytes.subarray(14) });
  t.ok(accepts(cut(ip({ from: '203.0.113.5', to: '10.0.0.100' })), raw));
  t.notOk(accepts(cut(ip({ from: '203.0.113.5', to: '10.0.0.1' })), raw));
  t.end();
});

/** The rule in plain words, for any IP frame to this host that is not ICMP. */
const wanted = (spec: FilterSpec, from: Address, to: Address): boolean =>
  spec.virtual.includes(to) || (spec.servers.includes(from) && !spec.own.includes(to));

/** The address that differs by as much in its last byte. */
const beside = (address: Address, by: number): Address => {
  const bytes = addressBytes(address);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + by;
  return formatAddress(bytes);
};

/** Few values a byte, so that neighbours, ranges and shared prefixes are common. */
const byte = fc.constantFrom(0, 1, 2, 3, 127, 128, 254, 255);
const anyAddress = fc.oneof(
  fc.array(byte, { minLength: 4, maxLength: 4 }),
  fc.array(byte, { minLength: 16, maxLength: 16 }),
);
const pool = fc.uniqueArray(
  anyAddress.map((bytes) => formatAddress(Uint8Array.from(bytes))),
  { minLength: 2, maxLength: 120 },
);

t.test('any table: the program says what the rule says', (t) => {
  const property = fc.property(
    pool.chain((all) => fc.tuple(fc.constant(all), ...[0, 1, 2].map(() => fc.subarray([...all])))),
    ([all, virtual = [], servers = [], own = []]) => {
      const spec = { virtual, servers, own };
      const program = captureFilter(spec, { room: 4096 });
      for (const [i, to] of all.entries())
        for (const from of [all[(i * 7 + 1) % all.length], all[(i * 3 + 2) % all.length]]) {
          if (from === undefined || familyOf(from) !== familyOf(to)) continue;
          for (const [one, other] of [
            [from, to],
            [beside(from, 1), to],
            [from, beside(to, 1)],
            [from, beside(to, -1)],
          ] as const)
            if (accepts(ip({ from: one, to: other }), program) !== wanted(spec, one, other)) return false;
        }
      return true;
    },
  );
  t.doesNotThrow(() => {
    fc.assert(property, { numRuns: 300 });
  });
  t.end();
});

t.test('large tables', (t) => {
  const scattered = (n: number, net: number): Address[] =>
    Array.from({ length: n }, (_, i) => `${net}.${(i * 37) & 0xff}.${i >> 8}.${(i * 101) & 0xfe}`);
  const spec = {
    virtual: scattered(600, 10),
    servers: [...scattered(500, 172), ...Array.from({ length: 150 }, (_, i) => `2001:db8:${i}::${2 * i}`)],
    own: scattered(100, 192),
  };
  const program = captureFilter(spec, { room: 4096 });
  t.ok(program.length / 8 <= 4096, `${program.length / 8} instructions`);
  const mistakes = [...spec.virtual, ...spec.servers, ...spec.own].filter((address) => {
    const [near, far] =
      familyOf(address) === 'inet' ? ['10.255.255.255', '8.8.8.8'] : ['2001:db8::', '2001:db9::'];
    return (
      accepts(ip({ from: far, to: address }), program) !== wanted(spec, far, address) ||
      accepts(ip({ from: address, to: near }), program) !== wanted(spec, address, near)
    );
  });
  t.same(mistakes, []);
  t.notOk(accepts(ip({ from: '8.8.8.8', to: '9.9.9.9' }), program));

  const many = captureFilter({ ...spec, virtual: scattered(5000, 10) }, { room: 4096 });
  t.ok(many.length / 8 < 100, 'too many: a short program');
  t.ok(accepts(ip({ from: '8.8.8.8', to: '9.9.9.9' }), many), 'takes every IP packet to this host');
  t.notOk(
    accepts({ ...ip({ from: '8.8.8.8', to: '10.0.0.0' }), packetType: 4 }),
    'but still nothing sent by it',
  );

  const range = Array.from({ length: 250 }, (_, i) => `10.1.1.${i + 1}`);
  t.ok(captureFilter({ virtual: range, servers: [], own: [] }).length / 8 < 70, 'neighbours make one range');
  t.end();
});

t.test('what this program sent itself is left out by its mark', (t) => {
  const own = captureFilter(small, { notMarked: 0x44495244 });
  const packet = ip({ from: '10.0.0.100', to: '10.0.0.100' });
  t.ok(accepts(packet, own));
  t.ok(accepts({ ...packet, mark: 7 }, own));
  t.notOk(accepts({ ...packet, mark: 0x44495244 }, own));
  const any = captureFilter(small, { notMarked: 0x44495244, room: 0 });
  t.notOk(accepts({ ...packet, mark: 0x44495244 }, any), 'also where all addresses are wanted');
  t.end();
});
