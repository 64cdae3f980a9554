/** Listings of flows as BPF programs enter them; here memory stands for the maps. */
import t from 'tap';
import { TCP, UDP } from '../../../src/connections/protocols.ts';
import { TcpState } from '../../../src/connections/tcp-states.ts';
import type { FlowArray } from '../../../src/engines/ebpf/flow-rows.ts';
import { FlowRows } from '../../../src/engines/ebpf/flow-rows.ts';
import type { ClientData } from '../../../src/engines/ebpf/template-data.ts';
import { Flow, Flow6, FlowFlag, FlowTable, Life, noSlot } from '../../../src/engines/ebpf/layout.ts';
import { ticksOf } from '../../../src/engines/ebpf/ticks.ts';
import { Pool } from '../../../src/scheduling/pool.ts';
import { addressBytes } from '../../../src/util/ip.ts';

const slots = 64;
/** The clock wraps during the test. */
const now = 1000;

interface Entry {
  readonly client: string;
  readonly port?: number;
  readonly virtual?: string;
  readonly mark?: number;
  readonly protocol?: number;
  readonly state?: number;
  readonly flags?: number;
  readonly life?: number;
  /** Seconds since its last packet. */
  readonly idle?: number;
  readonly peer?: number;
  readonly references?: number;
}

function lab() {
  const pool = Pool.create({ services: 1, destinations: 2 });
  const service = pool.addService(1, 0);
  pool.addDestination(service, '10.2.0.11', 8080);
  pool.addDestination(service, '2001:db8:2::11', 8080);
  const memory = new Map<string, ArrayBuffer>();
  const data = new Map<string, ClientData>();
  const rows = new FlowRows(
    pool,
    (name) => {
      memory.set(name, new ArrayBuffer(slots * (name.endsWith('4') ? Flow.bytes : Flow6.bytes)));
      return { memory: memory.get(name) ?? new ArrayBuffer(), slots };
    },
    (family, slot) => data.get(`templates${family} ${slot}`),
  );
  const enter = (name: FlowArray, slot: number, entry: Entry): void => {
    const four = name.endsWith('4');
    const at = slot * (four ? Flow.bytes : Flow6.bytes);
    const view = new DataView(memory.get(name) ?? new ArrayBuffer());
    const {
      client,
      port = name.startsWith('templates') ? 0 : 1000,
      virtual = four ? '10.1.0.100' : '2001:db8:1::100',
      mark,
      protocol = TCP,
    } = entry;
    const bytes = new Uint8Array(view.buffer);
    bytes.set(addressBytes(client), at + (four ? Flow.source : Flow6.source));
    bytes.set(addressBytes(virtual), at + (four ? Flow.target : Flow6.target));
    if (mark !== undefined) {
      bytes.fill(0, at + Flow6.target, at + Flow6.target + (four ? 0 : 16));
      view.setUint32(at + (four ? Flow.target : Flow6.target), mark, true);
    }
    view.setUint16(at + Flow.ports, port);
    view.setUint16(at + Flow.ports + 2, mark === undefined ? 80 : 0);
    view.setUint8(at + Flow.protocol, protocol);
    view.setUint8(at + Flow.state, entry.state ?? TcpState.established);
    view.setUint8(at + Flow.flags, entry.flags ?? 0);
    view.setUint16(at + Flow.newPort, 8080);
    view.setUint32(at + Flow.newAddress, entry.references ?? 0, true);
    view.setUint32(at + Flow.server, four ? 0 : 1, true);
    view.setUint32(at + Flow.timeout, ticksOf(60), true);
    view.setUint32(at + Flow.seen, now - ticksOf(entry.idle ?? 0), true);
    view.setUint32(at + Flow.peer, entry.peer ?? noSlot, true);
    view.setUint32(at + Flow.life, entry.life ?? Life.live, true);
  };
  return { rows, enter, data };
}

t.test('connections and templates are listed as every engine lists them', (t) => {
  const { rows, enter } = lab();
  enter('flows4', 5, { client: '10.1.0.2', peer: 9 });
  enter('flows4', 9, { client: '10.2.0.11', flags: FlowFlag.reply, peer: 5 });
  enter('halves4', 1, { client: '10.1.0.3', state: TcpState.synRecv, idle: 10 });
  enter('flows6', 63, { client: '2001:db8:1::2', protocol: UDP, state: 1 });
  enter('templates4', 0, { client: '10.1.0.0', port: 0, flags: FlowFlag.template });
  const assured = FlowFlag.template | FlowFlag.assured;
  enter('templates4', 1, { client: '10.1.0.2', port: 0, mark: 7, protocol: 0, flags: assured });
  enter('templates6', 2, { client: '2001:db8:1::', port: 0, mark: 0x10002, protocol: 0, flags: assured });
  const four = { virtual: '10.1.0.100', virtualPort: 80, destination: '10.2.0.11', destinationPort: 8080 };
  const six = { ...four, virtual: '2001:db8:1::100', destination: '2001:db8:2::11' };
  const template = { clientPort: 0, expires: 59 };
  const client = { client: '10.1.0.2', clientPort: 1000 };
  t.same(rows.rows(now), [
    { protocol: 'tcp', state: 'NONE', ...four, ...template, client: '10.1.0.0' },
    {
      protocol: 'ip',
      state: 'ASSURED',
      ...four,
      ...template,
      client: '10.1.0.2',
      virtual: '0.0.0.7',
      virtualPort: 0,
    },
    {
      ...{ protocol: 'ip', state: 'ASSURED', ...six, ...template, client: '2001:db8:1::' },
      ...{ virtual: '1:2::', virtualPort: 0 },
    },
    { protocol: 'tcp', state: 'ESTABLISHED', expires: 59, ...client, ...four },
    { protocol: 'tcp', state: 'SYN_RECV', expires: 50, ...client, client: '10.1.0.3', ...four },
    { protocol: 'udp', state: 'UDP', expires: 59, ...client, client: '2001:db8:1::2', ...six },
  ]);
  t.equal(rows.established(now), 1);
  t.end();
});

t.test(
  'a template with data of a persistence engine is listed with them, and with the network that stands there',
  (t) => {
    const { rows, enter, data } = lab();
    const engineData = { engine: 'sip', data: 'a@b' };
    for (const name of ['templates4', 'templates6'] as const) {
      enter(name, 3, {
        client: name === 'templates4' ? '1.2.3.4' : '::1',
        port: 77,
        protocol: UDP,
        flags: FlowFlag.template,
      });
      t.same(rows.rows(now), [], 'its data are not there yet, or not any more');
      data.set(`${name} 3`, { network: '10.1.0.0', engineData });
      const [row] = rows.rows(now);
      t.same([row?.client, row?.clientPort, row?.engineData], ['10.1.0.0', 0, engineData]);
      data.clear();
      enter(name, 3, { client: '::1', life: Life.free });
    }
    t.end();
  },
);

t.test('what is past its time, or not finished, is not there', (t) => {
  const { rows, enter } = lab();
  const clients = (at = now): readonly string[] =>
    rows.rows(at).map(({ client, expires }) => `${client} ${expires}`);
  enter('flows4', 0, { client: '10.1.0.2', idle: 61 });
  enter('flows4', 1, { client: '10.1.0.3', life: Life.taken });
  enter('flows4', 2, { client: '10.1.0.4', life: Life.free });
  t.same([clients(), rows.established(now)], [[], 0]);
  enter('halves4', 7, { client: '10.2.0.11', flags: FlowFlag.reply, idle: 20 });
  enter('flows4', 0, { client: '10.1.0.2', idle: 61, peer: ((FlowTable.half << 30) | 7) >>> 0 });
  t.same(clients(), ['10.1.0.2 40'], 'the server has spoken since');
  t.same(clients(now + ticksOf(41)), []);
  enter('templates4', 3, { client: '10.1.0.5', flags: FlowFlag.template, idle: 61 });
  t.same(clients(), ['10.1.0.2 40']);
  enter('templates4', 3, { client: '10.1.0.5', flags: FlowFlag.template, idle: 70, references: 2 });
  t.same(clients(), ['10.1.0.5 49', '10.1.0.2 40'], 'connections refer to it: another minute');
  t.end();
});

t.test('a listing in parts is the whole listing', (t) => {
  const { rows, enter } = lab();
  for (const name of ['flows4', 'halves4', 'flows6', 'templates6'] as const) {
    for (let slot = 0; slot < slots; slot += 3)
      enter(name, slot, { client: name.endsWith('4') ? `10.1.0.${slot}` : `2001:db8::${slot}` });
  }
  const whole = rows.rows(now);
  t.equal(whole.length, 4 * 22);
  for (const [most, mostSlots] of [
    [1, Infinity],
    [7, 1000],
    [Infinity, 10],
    [5, 16],
    [88, 384],
  ] as const) {
    const parts = [];
    for (let from: number | undefined = 0; from !== undefined;) {
      const part = rows.part(now, from, most, mostSlots);
      t.ok(part.connections.length <= most);
      parts.push(...part.connections);
      from = part.next;
    }
    t.same(parts, whole, `${most} rows of ${mostSlots} slots at a time`);
  }
  t.end();
});
