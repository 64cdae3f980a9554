/** The texts of /proc/net/ip_vs*: every line here is one that Linux wrote. */
import t from 'tap';
import type { ServiceId } from '../../src/director/table.ts';
import type { ConnectionEntry, Counters } from '../../src/engines/engine.ts';
import { zeroCounters } from '../../src/engines/engine.ts';
import type { DestinationListing, ServiceListing } from '../../src/observe/listing.ts';
import { kernelOrder } from '../../src/observe/listing-order.ts';
import type { ProcName, ProcSource } from '../../src/observe/proc-text.ts';
import { procNames, writeProc } from '../../src/observe/proc-text.ts';
import { masq, roundRobin } from '../support/table.ts';

function service(id: ServiceId, changes: Partial<ServiceListing> = {}): ServiceListing {
  const none = { counters: zeroCounters, rates: zeroCounters };
  return { id, settings: roundRobin, destinations: [], ...none, ...changes };
}

const tcp = (address: string, port: number): ServiceId => ({
  kind: 'address',
  protocol: 'tcp',
  address,
  port,
});

function server(address: string, port: number, changes: Partial<DestinationListing>): DestinationListing {
  const counts = { active: 0, inactive: 0, persistent: 0, counters: zeroCounters, rates: zeroCounters };
  return { id: { address, port }, ...masq, ...counts, ...changes };
}

/** @returns the text, piece by piece */
async function pieces(name: ProcName, source: Partial<ProcSource>): Promise<readonly string[]> {
  const never = (): never => {
    throw new Error('not asked for');
  };
  const written: string[] = [];
  await writeProc(name, { list: never, connections: never, statistics: never, ...source }, (piece) => {
    written.push(piece);
  });
  return written;
}

t.test('ip_vs', async (t) => {
  const { settings } = service(tcp('10.0.0.1', 80));
  const persistent = { ...settings, persistence: 30 };
  const services = [
    service(
      { kind: 'fwmark', mark: 8, family: 'inet6' },
      {
        settings: { ...persistent, netmask: 64, onePacket: true },
      },
    ),
    service({ kind: 'fwmark', mark: 9, family: 'inet' }, { settings: { ...persistent, onePacket: true } }),
    service(
      { kind: 'address', protocol: 'sctp', address: '10.9.0.1', port: 81 },
      {
        settings: { ...persistent, persistence: 5 },
        destinations: [server('10.2.0.13', 9, { weight: 12345678, active: 7, inactive: 1234567890 })],
      },
    ),
    service(
      { kind: 'address', protocol: 'udp', address: '2001:db8::9', port: 54 },
      {
        settings: { ...persistent, persistence: 7, netmask: 1, onePacket: true },
      },
    ),
    service(
      { kind: 'address', protocol: 'udp', address: '10.0.0.1', port: 53 },
      {
        settings: { ...settings, onePacket: true, schedulerFlags: 3 },
        destinations: [
          server('2001:db8:2::11', 92, { forwarding: 'ipip' }),
          server('10.2.0.1', 0, { weight: 2147483647 }),
          server('127.0.0.1', 92, { forwarding: 'local' }),
        ],
      },
    ),
  ];
  const text = (await pieces('ip_vs', { list: () => Promise.resolve(services) })).join('');
  t.equal(
    text,
    `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
UDP  0A000001:0035 rr ops  |
  -> [2001:0db8:0002:0000:0000:0000:0000:0011]:005C      Tunnel  1      0          0         |
  -> 0A020001:0000      Masq    2147483647 0          0         |
  -> 7F000001:005C      Local   1      0          0         |
UDP  [2001:0db8:0000:0000:0000:0000:0000:0009]:0036 rr persistent 700 01000000
SCTP  0A090001:0051 rr  persistent 500 FFFFFFFF
  -> 0A02000D:0009      Masq    12345678 7          1234567890|
FWM  00000008 rr ops persistent 3000 40000000
FWM  00000009 rr ops persistent 3000 FFFFFFFF
`.replaceAll('|', ''),
  );
});

t.test('a long table comes in pieces', async (t) => {
  const many = Array.from({ length: 1200 }, (_, i) => service(tcp(`10.1.${i >> 8}.${i & 255}`, 80)));
  const written = await pieces('ip_vs', { list: () => Promise.resolve(many) });
  t.same(
    written.map((piece) => piece.split('\n').length - 1),
    [3, 500, 500, 200],
  );
});

t.test('ip_vs_conn', async (t) => {
  const entry: ConnectionEntry = {
    protocol: 'tcp',
    state: 'ESTABLISHED',
    expires: 899.7,
    client: '10.1.0.2',
    clientPort: 50001,
    virtual: '10.1.0.100',
    virtualPort: 80,
    destination: '10.2.0.11',
    destinationPort: 80,
  };
  const template: ConnectionEntry = {
    ...entry,
    protocol: 'ip',
    state: 'ASSURED',
    expires: 59,
    clientPort: 0,
    virtualPort: 0,
    destinationPort: 0,
  };
  const six = { client: '2001:db8:1::', virtual: '0:7::', destination: '2001:db8:2::11' };
  const parts: readonly (readonly ConnectionEntry[])[] = [
    [
      { ...template, virtual: '0.0.0.7' },
      { ...template, ...six },
    ],
    [
      entry,
      {
        ...entry,
        protocol: 'udp',
        state: 'NONE',
        expires: -0.2,
        clientPort: 0,
        virtualPort: 5060,
        destinationPort: 5060,
        engineData: { engine: 'sip', data: 'bbb@x' },
      },
    ],
  ];
  const written = await pieces('ip_vs_conn', {
    connections: async (take) => {
      for (const part of parts) await take(part);
    },
  });
  t.same(written, [
    'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n',
    'IP  0A010002 0000 00000007 0000 0A02000B 0000 ASSURED          59\n' +
      'IP  2001:0db8:0001:0000:0000:0000:0000:0000 0000 0000:0007:0000:0000:0000:0000:0000:0000 0000' +
      ' 2001:0db8:0002:0000:0000:0000:0000:0011 0000 ASSURED          59\n',
    'TCP 0A010002 C351 0A010064 0050 0A02000B 0050 ESTABLISHED     899\n' +
      'UDP 0A010002 0000 0A010064 13C4 0A02000B 13C4 NONE              0 sip bbb@x\n',
  ]);
});

t.test('ip_vs_stats', async (t) => {
  const totals: Counters = {
    connections: 1,
    inPackets: 3973,
    outPackets: 2368,
    inBytes: 150_206_604,
    outBytes: 123_340,
  };
  const rates: Counters = {
    ...totals,
    connections: 0,
    inPackets: 372,
    outPackets: 222,
    inBytes: 14_080_773,
    outBytes: 11_554,
  };
  const text = (totals: Counters, rates: Counters): Promise<readonly string[]> =>
    pieces('ip_vs_stats', { statistics: () => ({ totals, rates }) });
  t.same(await text(totals, rates), [
    `   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
       1      F85      940          8F3F88C            1E1CC

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       0      174       DE           D6DB05             2D22
`,
  ]);
  const [large = ''] = await text({ ...totals, inPackets: 2 ** 40, inBytes: 2 ** 52 + 15 }, rates);
  t.equal(large.split('\n')[2], '       1 10000000000      940   1000000000000F            1E1CC');
});

t.test('the order of the hash table', (t) => {
  const order = (...ids: readonly ServiceId[]): readonly unknown[] =>
    kernelOrder(ids.map((id) => service(id))).map(({ id }) => ids.indexOf(id));
  const mark = (number: number): ServiceId => ({ kind: 'fwmark', mark: number, family: 'inet' });
  t.same(order(mark(1), tcp('10.0.0.1', 80), mark(0xffffffff), mark(0x101)), [1, 3, 0, 2]);
  // Buckets 0x57, 0x56, 0x07, and 0x57 again.
  t.same(
    order(tcp('10.0.0.1', 80), tcp('10.0.0.0', 80), tcp('10.0.0.1', 0), tcp('172.16.3.1', 80)),
    [2, 1, 3, 0],
    'the newest first in a bucket',
  );
  // 6 ^ 0xb8 ^ 0x0d ^ 9 and 6 ^ 0xb8 ^ 0x0d ^ 0x1f ^ 0x90
  t.same(order(tcp('2001:db8::9', 0), tcp('2001:db8::', 8080)), [1, 0]);
  t.end();
});

t.test('all three', (t) => {
  t.same(procNames, ['ip_vs', 'ip_vs_conn', 'ip_vs_stats']);
  t.end();
});
