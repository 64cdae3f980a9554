/** The connection table does what a plain Map does, whatever is done to it in whatever order. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { ConnectionKey } from '../../src/connections/connection-key.ts';
import { ConnectionTable, NO_SLOT } from '../../src/connections/connection-table.ts';
import { TCP, UDP } from '../../src/connections/protocols.ts';
import { isActive, TcpState } from '../../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../../src/connections/timeouts.ts';
import { Pool } from '../../src/scheduling/pool.ts';

const families = [
  { clients: ['10.1.0.2', '10.1.0.3'], virtuals: ['10.1.0.100', '10.1.0.101'] },
  { clients: ['2001:db8::2', '2001:db8:0:1::2'], virtuals: ['2001:db8::100', '2001:db8:0:0:1::100'] },
] as const;
const servers = [
  { address: '10.2.0.11', port: 8080 },
  { address: '10.2.0.12', port: 0 },
  { address: '2001:db8:2::11', port: 8080 },
  { address: '2001:db8:2::12', port: 0 },
] as const;
const virtualPorts = [80, 443];

/** Every connection that the test knows, and every reply. */
const keys = families.flatMap(({ clients, virtuals }) =>
  [TCP, UDP].flatMap((protocol) =>
    clients.flatMap((client) =>
      virtuals.flatMap((virtual) =>
        virtualPorts.map((port) => ({ protocol, client, port, ...packed(protocol, client, virtual, port) })),
      ),
    ),
  ),
);
const replies = servers.flatMap(({ address }, server) =>
  [TCP, UDP].flatMap((protocol) =>
    families.flatMap(({ clients }) =>
      clients.flatMap((client) =>
        client.includes(':') === address.includes(':')
          ? [8080, ...virtualPorts].map((port) => ({
              protocol,
              client,
              server,
              port,
              ...packed(protocol, client, address, port),
            }))
          : [],
      ),
    ),
  ),
);

function packed(protocol: number, client: string, address: string, port: number): { key: ConnectionKey } {
  return { key: new ConnectionKey().set(protocol, client, 50001, address, port) };
}

interface Entry {
  readonly slot: number;
  key: number;
  server: number;
  state: number;
  deadline: number;
  /** When it was last entered or moved: the newest of equal replies is found. */
  chained: number;
  halfOpen: boolean;
  /** When it became half-open: the oldest makes room. */
  doubted: number;
}

const which = fc.nat(keys.length - 1);
const server = fc.nat(servers.length - 1);
const steps = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.record({ type: fc.constant('insert' as const), key: which, server }) },
    {
      weight: 3,
      arbitrary: fc.record({ type: fc.constant('state' as const), key: which, state: fc.nat(10) }),
    },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('rebind' as const), key: which, server }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('rekey' as const), key: which, to: which }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('confirm' as const), key: which }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('touch' as const), key: which }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('remove' as const), key: which }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), time: fc.nat(90_000) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), time: fc.nat(3_000_000) }) },
  ),
  { maxLength: 100, size: 'max' },
);

type Step = (typeof steps extends fc.Arbitrary<infer T> ? T : never)[number];
interface Options {
  readonly twoWay: boolean;
  readonly halfOpen?: number;
  readonly limit: number;
}

class Model {
  readonly entries: Entry[] = [];
  readonly #options: Options;
  readonly #timeouts = new ConnectionTimeouts();
  readonly pool = Pool.create({ services: 1, destinations: servers.length });
  readonly destinations: readonly number[];
  readonly table: ConnectionTable;
  #now = 0;
  #clock = 0;

  constructor(options: Options) {
    this.#options = options;
    const service = this.pool.addService(1, 0);
    this.destinations = servers.map(({ address, port }) => this.pool.addDestination(service, address, port));
    const evicted = (slot: number) => {
      const oldest = this.#oldest();
      assert.equal(slot, oldest?.slot, 'not the oldest half-open one');
      this.#forget(slot);
    };
    const timeouts = this.#timeouts;
    this.table = new ConnectionTable(this.pool, {
      seed: 1,
      timeouts,
      now: 0,
      capacity: 2,
      ...options,
      evicted,
    });
  }

  do(step: Step): void {
    if (step.type === 'wait') {
      this.#wait(step.time);
      return;
    }
    const entry = this.entries.find(({ key }) => key === step.key);
    if (step.type === 'insert') {
      if (entry === undefined) this.#insert(step.key, step.server);
      return;
    }
    if (entry === undefined) return;
    const { table } = this;
    switch (step.type) {
      case 'state':
        entry.state = step.state;
        entry.deadline = this.#now + 1000 * this.#timeouts.of(this.#protocol(entry), step.state);
        if (this.#protocol(entry) === TCP && step.state === TcpState.established) entry.halfOpen = false;
        table.setState(entry.slot, step.state, this.#now);
        break;
      case 'rebind':
        entry.server = step.server;
        entry.chained = ++this.#clock;
        table.rebind(entry.slot, this.destinations[step.server] ?? 0);
        break;
      case 'rekey': {
        const taken = this.entries.some(({ key }) => key === step.to);
        if (taken || keys[step.to]?.protocol !== this.#protocol(entry)) return;
        entry.key = step.to;
        entry.chained = ++this.#clock;
        table.rekey(entry.slot, packedKey(step.to));
        break;
      }
      case 'confirm':
        entry.halfOpen = false;
        table.confirm(entry.slot);
        break;
      case 'touch':
        entry.deadline = this.#now + 1000 * this.#timeouts.of(this.#protocol(entry), entry.state);
        table.touch(entry.slot, this.#now);
        break;
      case 'remove':
        table.remove(entry.slot);
        this.#forget(entry.slot);
        break;
    }
  }

  agree(): void {
    const { table, entries, pool } = this;
    const seen: number[] = [];
    table.forEach((slot) => seen.push(slot));
    const slots = entries.map(({ slot }) => slot);
    assert.deepEqual(
      seen,
      slots.sort((a, b) => a - b),
    );
    assert.deepEqual(
      [table.size, table.halfOpen],
      [entries.length, entries.filter((e) => e.halfOpen).length],
    );
    keys.forEach(({ key }, at) => {
      const entry = entries.find((entry) => entry.key === at);
      assert.equal(table.find(key), entry?.slot ?? NO_SLOT, `find ${at}`);
      if (entry === undefined) return;
      assert.deepEqual(
        [table.state(entry.slot), table.isHalfOpen(entry.slot)],
        [entry.state, entry.halfOpen],
      );
    });
    replies.forEach((reply) => {
      assert.equal(table.findReply(reply.key), this.#replied(reply), `reply ${JSON.stringify(reply)}`);
    });
    this.destinations.forEach((destination, server) => {
      const mine = entries.filter((entry) => entry.server === server);
      const active = mine.filter((entry) => this.#protocol(entry) === TCP && isActive(entry.state)).length;
      const counts = [pool.active(destination), pool.inactive(destination)];
      assert.deepEqual(counts, [active, mine.length - active]);
    });
  }

  #replied({ protocol, client, server, port }: (typeof replies)[number]): number {
    const found = this.entries.filter((entry) => {
      const key = keys[entry.key];
      if (key?.protocol !== protocol || key.client !== client || entry.server !== server) return false;
      return (servers[server]?.port || key.port) === port;
    });
    const [newest] = found.sort((a, b) => b.chained - a.chained);
    return this.#options.twoWay ? (newest?.slot ?? NO_SLOT) : NO_SLOT;
  }

  #insert(key: number, server: number): void {
    const { halfOpen, limit } = this.#options;
    const full = this.entries.length === limit && this.#oldest() === undefined;
    const slot = this.table.insert(packedKey(key), this.destinations[server] ?? 0, this.#now);
    assert.equal(slot === NO_SLOT, full);
    if (full) return;
    assert.ok(this.entries.length < limit, 'one made room');
    const clock = ++this.#clock;
    const deadline = this.#now + (keys[key]?.protocol === TCP ? 3_000 : 300_000);
    const order = { chained: clock, halfOpen: halfOpen !== undefined, doubted: clock };
    this.entries.push({ slot, key, server, state: 0, deadline, ...order });
    const open = this.entries.filter((entry) => entry.halfOpen).length;
    assert.ok(open <= (halfOpen ?? 0), 'half-open connections are bounded');
  }

  #wait(time: number): void {
    this.#now += time;
    this.table.advance(this.#now, (slot) => {
      const entry = this.entries.find((entry) => entry.slot === slot);
      assert.ok(entry !== undefined && entry.deadline <= this.#now, 'expired early');
      this.#forget(slot);
      return 0;
    });
    for (const { deadline } of this.entries) assert.ok(deadline > this.#now - 1000, 'expired late');
  }

  #protocol(entry: Entry): number {
    return keys[entry.key]?.protocol ?? 0;
  }

  #oldest(): Entry | undefined {
    return this.entries.filter(({ halfOpen }) => halfOpen).sort((a, b) => a.doubted - b.doubted)[0];
  }

  #forget(slot: number): void {
    this.entries.splice(
      this.entries.findIndex((entry) => entry.slot === slot),
      1,
    );
  }
}

function packedKey(at: number): ConnectionKey {
  return keys[at]?.key ?? new ConnectionKey();
}

const kinds: readonly (readonly [name: string, options: Options])[] = [
  ['one-way', { twoWay: false, limit: 100 }],
  ['two-way', { twoWay: true, limit: 100 }],
  ['two-way with a limit', { twoWay: true, limit: 6 }],
  ['few half-open ones', { twoWay: true, halfOpen: 4, limit: 100 }],
  ['few half-open ones and a limit', { twoWay: true, halfOpen: 4, limit: 6 }],
];
for (const [name, options] of kinds) {
  void t.test(`it holds what a Map would hold: ${name}`, (t) => {
    const agrees = fc.property(steps, (steps) => {
      const model = new Model(options);
      for (const step of steps) {
        model.do(step);
        model.agree();
      }
    });
    t.doesNotThrow(() => {
      fc.assert(agrees, { numRuns: 60 });
    });
    t.end();
  });
}
