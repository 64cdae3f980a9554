/** Random tables and traffic: the pool and its schedulers against a plain model with one object per server. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { NONE } from '../../src/scheduling/pool.ts';
import { schedulerAt } from '../../src/scheduling/registry.ts';
import type { ServerSettings } from './lab.ts';
import { flowFrom, Lab } from './lab.ts';

interface Server {
  readonly number: number;
  readonly slot: number;
  weight: number;
  upper: number;
  lower: number;
  active: number;
  inactive: number;
  overloaded: boolean;
}

/** Servers newest first. */
type Servers = Server[];
const eligible = (server: Server) => server.weight > 0 && !server.overloaded;

/** The rules of each scheduler, told naively. */
const rules: Record<
  string,
  () => {
    changed(servers: Servers): void;
    removing?(servers: Servers, gone: Server): void;
    pick(servers: Servers): Server | undefined;
  }
> = {
  rr: () => {
    let last: Server | undefined;
    return {
      changed: () => undefined,
      removing(servers, gone) {
        if (last === gone) last = servers[servers.indexOf(gone) - 1];
      },
      pick(servers) {
        const from = last === undefined ? 0 : servers.indexOf(last) + 1;
        const chosen = [...servers.slice(from), ...servers.slice(0, from)].find(eligible);
        last = chosen ?? last;
        return chosen;
      },
    };
  },
  wrr: () => {
    let [cursor, level, highest, step] = [-1, 0, 0, 1];
    return {
      changed(servers) {
        step = servers.reduce((divisor, { weight }) => gcd(divisor, weight), 0) || 1;
        highest = Math.max(0, ...servers.map(({ weight }) => weight)) - (step - 1);
        if (highest < 0) highest = 0;
        cursor = -1;
        if (level > highest || level === 0) level = highest;
        else if (step > 1) level = Math.floor(level / step) * step + 1;
      },
      pick(servers) {
        if (!servers.some(eligible)) {
          if (highest > 0 && (cursor < 0 || level > step)) [cursor, level] = [-1, highest];
          return undefined;
        }
        for (;;) {
          cursor++;
          if (cursor === servers.length) {
            cursor = -1;
            level -= step;
            if (level <= 0) level = highest;
            continue;
          }
          const server = servers[cursor];
          if (server !== undefined && !server.overloaded && server.weight >= level) return server;
        }
      },
    };
  },
  lc: () => least((server) => [BigInt(256 * server.active + server.inactive), 1n]),
  wlc: () => least((server) => [BigInt(256 * server.active + server.inactive), BigInt(server.weight)]),
  sed: () => least((server) => [BigInt(server.active + 1), BigInt(server.weight)]),
  nq: () => least((server) => [BigInt(server.active === 0 ? 0 : server.active + 1), BigInt(server.weight)]),
  fo: () => least((server) => [1n, BigInt(server.weight)]),
  ovf: () =>
    least(
      (server) => [1n, BigInt(server.weight)],
      (server) => server.active <= server.weight,
    ),
  none: () => ({ changed: () => undefined, pick: () => undefined }),
};

function least(cost: (server: Server) => [bigint, bigint], fits: (server: Server) => boolean = () => true) {
  return {
    changed: () => undefined,
    pick: (servers: Servers) =>
      servers
        .filter((server) => eligible(server) && fits(server))
        .reduce<Server | undefined>((best, server) => {
          if (best === undefined) return server;
          const [load, weight] = cost(server);
          const [bestLoad, bestWeight] = cost(best);
          return load * bestWeight < bestLoad * weight ? server : best;
        }, undefined),
  };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

const settings: fc.Arbitrary<Required<ServerSettings>> = fc.record({
  weight: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 12 }) }, fc.constant(2 ** 31 - 1)),
  upper: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 6 })),
  lower: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 })),
});
/** Weights small enough to count the wrr model's levels down one by one. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('set' as const),
        server: fc.integer({ min: 1, max: 5 }),
        settings,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('delete' as const), server: fc.integer({ min: 1, max: 5 }) }),
    },
    { weight: 8, arbitrary: fc.record({ type: fc.constant('connect' as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('finish' as const), which: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('close' as const), which: fc.nat() }) },
  ),
  { maxLength: 60, size: 'max' },
);

for (const [scheduler, rule] of Object.entries(rules)) {
  void t.test(`${scheduler} chooses as the model does, and counts, order and overload agree`, (t) => {
    const agrees = fc.property(steps, (steps) => {
      const lab = new Lab(scheduler);
      const model = rule();
      const servers: Servers = [];
      const connections: { server: Server; active: boolean }[] = [];
      for (const step of steps) {
        if (step.type === 'set') set(lab, servers, step.server, limited(scheduler, step.settings));
        else if (step.type === 'delete') {
          const gone = servers.find(({ number }) => number === step.server);
          if (gone === undefined) continue;
          model.removing?.(servers, gone);
          servers.splice(servers.indexOf(gone), 1);
          lab.delete(gone.number);
        } else if (step.type === 'connect') {
          const expected = model.pick(servers);
          assert.equal(lab.pick(), expected?.number, 'choice');
          if (expected !== undefined) connections.push(open(lab, expected));
        } else if (step.type === 'finish') finish(lab, connections[step.which % connections.length]);
        else close(lab, connections.splice(step.which % (connections.length || 1), 1)[0]);
        if (step.type === 'set' || step.type === 'delete') model.changed(servers);
        assert.deepEqual(
          listed(lab),
          servers.map(({ slot }) => slot),
          'list order',
        );
        for (const { server } of connections) agree(lab, server);
        for (const server of servers) agree(lab, server);
      }
    });
    t.doesNotThrow(() => {
      fc.assert(agrees, { numRuns: 100 });
    });
    t.end();
  });
}

void t.test('wrr gives every server its share of a full round', (t) => {
  const fair = fc.property(
    fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 6 }),
    (weights) => {
      const lab = new Lab('wrr');
      weights.forEach((weight, at) => {
        lab.add(at + 1, { weight });
      });
      const total = weights.reduce((sum, weight) => sum + weight / (weights.reduce(gcd, 0) || 1), 0);
      const picked = Array.from({ length: total }, () => lab.pick());
      const shares = weights.map((_, at) => picked.filter((server) => server === at + 1).length);
      assert.deepEqual(
        shares,
        weights.map((weight) => weight / (weights.reduce(gcd, 0) || 1)),
      );
    },
  );
  t.doesNotThrow(() => {
    fc.assert(fair);
  });
  t.end();
});

void t.test('wrr passes over an overloaded server of huge weight at once', (t) => {
  const lab = new Lab('wrr');
  lab.add(1, { weight: 1 });
  lab.add(2, { weight: 2 ** 31 - 1, upper: 1 });
  t.equal(lab.pick(), 2);
  lab.pool.addActive(lab.slot(2), 1);
  t.same([lab.pick(), lab.pick()], [1, 1]);
  t.end();
});

void t.test('a destination that comes back while connections refer to it is as full as it was', (t) => {
  const lab = new Lab('rr');
  const settings = { weight: 1, upper: 2 };
  lab.add(1, settings);
  const slot = lab.slot(1);
  lab.pool.addActive(slot, 1);
  lab.pool.addInactive(slot, 1);
  lab.delete(1);
  t.ok(lab.pool.referenced(slot));
  lab.bringBack(1, settings);
  t.same([lab.pool.active(slot), lab.pool.inactive(slot)], [1, 1]);
  t.equal(lab.pick(), undefined);
  lab.pool.addInactive(slot, -1);
  t.equal(lab.pick(), 1, 'until a connection ends');
  t.end();
});

void t.test('a service in a reused slot does not inherit the buckets of the one before', (t) => {
  const { pool, service } = new Lab('sh');
  const index = pool.scheduler(service);
  const sh = schedulerAt(index);
  const refill = (address: string) => {
    const slot = pool.addDestination(service, address, 80);
    pool.setDestination(slot, { weight: 1, upper: 0, lower: 0, barred: false });
    return slot;
  };
  const old = refill('10.2.0.11');
  t.equal(sh.pick(pool, service, flowFrom(2)), old);
  pool.unlink(old);
  pool.removeService(service);
  while (pool.addService(index, 0) !== service);
  const young = refill('10.2.0.12');
  t.not(young, old);
  t.equal(sh.pick(pool, service, flowFrom(2)), young);
  t.end();
});

/** The naive wrr counts every level down, which 2^31 levels would make long. */
function limited(scheduler: string, settings: Required<ServerSettings>): Required<ServerSettings> {
  return scheduler === 'wrr' ? { ...settings, weight: settings.weight % 13 } : settings;
}

function set(lab: Lab, servers: Servers, number: number, settings: Required<ServerSettings>): void {
  const known = servers.find((server) => server.number === number);
  if (known === undefined) {
    lab.add(number, settings);
    servers.unshift({
      number,
      slot: lab.slot(number),
      ...settings,
      active: 0,
      inactive: 0,
      overloaded: false,
    });
    return;
  }
  lab.edit(number, settings);
  if (settings.upper === 0 || settings.upper > known.upper) known.overloaded = false;
  Object.assign(known, settings);
}

function open(lab: Lab, server: Server): { server: Server; active: boolean } {
  lab.pool.addActive(server.slot, 1);
  server.active++;
  if (server.upper > 0 && server.active + server.inactive >= server.upper) server.overloaded = true;
  return { server, active: true };
}

function finish(lab: Lab, connection: { server: Server; active: boolean } | undefined): void {
  if (connection?.active !== true) return;
  lab.pool.move(connection.server.slot, 'inactive');
  connection.active = false;
  connection.server.active--;
  connection.server.inactive++;
}

function close(lab: Lab, connection: { server: Server; active: boolean } | undefined): void {
  if (connection === undefined) return;
  const { server, active } = connection;
  if (active) lab.pool.addActive(server.slot, -1);
  else lab.pool.addInactive(server.slot, -1);
  if (active) server.active--;
  else server.inactive--;
  const total = server.active + server.inactive;
  if (server.lower > 0 ? total < server.lower : total * 4 < server.upper * 3) server.overloaded = false;
}

function listed(lab: Lab): number[] {
  const slots: number[] = [];
  for (let d = lab.pool.head(lab.service); d !== NONE; d = lab.pool.next(d)) slots.push(d);
  return slots;
}

function agree(lab: Lab, server: Server): void {
  const { slot, active, inactive, overloaded } = server;
  const { pool } = lab;
  assert.deepEqual([pool.active(slot), pool.inactive(slot)], [active, inactive], 'counts');
  assert.equal(pool.usable(slot), !overloaded, 'overload');
}
