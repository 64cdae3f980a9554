/**
 * What the packet engine's connection table costs: a million connections, then a SYN flood, each in a process of its own
 * so that its memory is told apart. `node connections.js`, or with one of the parts below as argument. Times are
 * processor time, which on a shared machine says more than the clock.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConnectionKey } from '../src/connections/connection-key.ts';
import { ConnectionTable, NO_SLOT } from '../src/connections/connection-table.ts';
import type { ConnectionTableOptions } from '../src/connections/connection-table.ts';
import { TCP } from '../src/connections/protocols.ts';
import { TcpState } from '../src/connections/tcp-states.ts';
import { ConnectionTimeouts } from '../src/connections/timeouts.ts';
import { Pool } from '../src/scheduling/pool.ts';

const MILLION = 1_000_000;
/** Has no divisor in common with a million: steps of it visit each connection once, in no order. */
const STRIDE = 618_033;
const DESTINATIONS = 10;

const parts: Readonly<Record<string, () => void>> = {
  growing: () => {
    million({ twoWay: true, halfOpen: 2 ** 17 });
  },
  reserved: () => {
    million({ twoWay: true, halfOpen: 2 ** 17, capacity: 2 ** 20 });
  },
  'one-way': () => {
    million({});
  },
  flood: () => {
    flood(5 * MILLION, 10_000);
  },
};

const [asked] = process.argv.slice(2);
if (asked !== undefined) parts[asked]?.();
else {
  for (const part of Object.keys(parts)) {
    print(`\n${part}`);
    spawnSync(process.execPath, [fileURLToPath(import.meta.url), part], { stdio: 'inherit' });
  }
}

function lab(options: Partial<ConnectionTableOptions>) {
  const pool = Pool.create({ services: 1, destinations: DESTINATIONS });
  const service = pool.addService(1, 0);
  const servers = Array.from({ length: DESTINATIONS }, (_, i) =>
    pool.addDestination(service, `10.2.0.${11 + i}`, 8080),
  );
  const timeouts = new ConnectionTimeouts();
  const table = new ConnectionTable(pool, { seed: 0x5eed, timeouts, now: 0, ...options });
  return { pool, servers, table };
}

function million(options: Partial<ConnectionTableOptions>): void {
  const before = memory();
  const { pool, servers, table } = lab(options);
  const virtual = new ConnectionKey().set(TCP, '10.1.0.2', 0, '10.1.0.100', 80);
  const replies = servers.map((_, i) =>
    new ConnectionKey().set(TCP, '10.1.0.2', 0, `10.2.0.${11 + i}`, 8080),
  );
  const client = (key: ConnectionKey, i: number) => {
    key.client[0] = 0x0a400000 + (i >> 3);
    key.clientPort = 32768 + (i & 7);
    return key;
  };
  let pause = 0;
  each('insert and established', (i) => {
    const began = table.size === table.capacity ? processorTime() : undefined;
    const slot = table.insert(client(virtual, i), servers[i % DESTINATIONS] ?? 0, 0);
    table.setState(slot, TcpState.synRecv, 0);
    table.setState(slot, TcpState.established, 0);
    if (began !== undefined) pause = processorTime() - began;
  });
  print(`${'of it the last growth'.padEnd(24)}${pause.toFixed(1)} ms`);
  tellMemory(before, table);
  let missed = 0;
  eachInNoOrder('find', (i) => {
    if (table.find(client(virtual, i)) === NO_SLOT) missed++;
  });
  if (options.twoWay === true) {
    eachInNoOrder('find the reply', (i) => {
      if (table.findReply(client(replies[i % DESTINATIONS] ?? virtual, i)) === NO_SLOT) missed++;
    });
  }
  eachInNoOrder('find nothing', (i) => {
    if (table.find(client(virtual, i + MILLION)) !== NO_SLOT) missed++;
  });
  eachInNoOrder('find and touch', (i) => {
    table.touch(table.find(client(virtual, i)), 1000);
  });
  const read = new ConnectionKey();
  let sum = 0;
  const began = processorTime();
  table.forEach((slot) => {
    table.key(slot, read);
    sum += read.clientPort + table.destinationPort(slot) + table.expires(slot, 1000);
  });
  tell('list', began, table.size);
  const ending = processorTime();
  for (let now = 2000; now <= 903_000; now += 1000) table.advance(now, () => 0);
  tell('expire', ending, MILLION);
  const left = servers.reduce(
    (left, server) => left + pool.active(server) + pool.inactive(server),
    table.size,
  );
  print(
    missed === 0 && left === 0 && sum > 0
      ? 'all found, all expired'
      : `${missed} NOT AS EXPECTED, ${left} left`,
  );
}

function flood(packets: number, established: number): void {
  const before = memory();
  let evicted = 0;
  const { servers, table } = lab({ twoWay: true, halfOpen: 2 ** 17, evicted: () => (evicted += 1) });
  const key = new ConnectionKey().set(TCP, '10.1.0.2', 0, '10.1.0.100', 80);
  const open = (client: number, port: number, state: number, now: number) => {
    key.client[0] = client;
    key.clientPort = port;
    const slot = table.insert(key, servers[port % DESTINATIONS] ?? 0, now);
    table.setState(slot, state, now);
    return slot;
  };
  const slots = Array.from({ length: established }, (_, i) =>
    open(0x0a400000 + i, 50_000, TcpState.established, 0),
  );
  const began = processorTime();
  for (let i = 0; i < packets; i++) {
    // 200,000 packets a second
    const now = i / 200;
    if (i % 200_000 === 0) table.advance(now, () => 0);
    key.client[0] = Math.imul(i, 0x9e3779b1);
    key.clientPort = i & 0xffff;
    if (table.find(key) === NO_SLOT) open(Math.imul(i, 0x9e3779b1), i & 0xffff, TcpState.synRecv, now);
  }
  tell('SYN of a new source', began, packets);
  tellMemory(before, table);
  const there = slots.filter((slot, i) => {
    key.client[0] = 0x0a400000 + i;
    key.clientPort = 50_000;
    return table.find(key) === slot && table.state(slot) === TcpState.established;
  });
  print(
    `${there.length} of ${established} established are there; ${table.halfOpen} half-open, ${evicted} evicted`,
  );
}

function each(what: string, work: (i: number) => void): void {
  const began = processorTime();
  for (let i = 0; i < MILLION; i++) work(i);
  tell(what, began, MILLION);
}

function eachInNoOrder(what: string, work: (i: number) => void): void {
  const began = processorTime();
  for (let n = 0, i = 0; n < MILLION; n++, i = (i + STRIDE) % MILLION) work(i);
  tell(what, began, MILLION);
}

function tell(what: string, began: number, times: number): void {
  const milliseconds = processorTime() - began;
  const each = ((milliseconds * 1e6) / times).toFixed(0);
  print(`${what.padEnd(24)}${each} ns (${milliseconds.toFixed(0)} ms in all)`);
}

/** Milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

interface Memory {
  readonly resident: number;
  readonly peak: number;
}

/** MiB of this process. */
function memory(): Memory {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
  return { resident: mib('VmRSS'), peak: mib('VmHWM') };
}

function tellMemory(before: Memory, table: ConnectionTable): void {
  const { resident, peak } = memory();
  const mib = (value: number) => `${value.toFixed(0)} MiB`;
  print(
    `${'resident'.padEnd(24)}${mib(resident)}, at most ${mib(peak)}, ${mib(before.resident)} of it before`,
  );
  const each = `${(table.bytes / table.capacity).toFixed(0)} bytes a connection`;
  print(
    `${'table'.padEnd(24)}${mib(table.bytes / 2 ** 20)}, ${each}, ${table.size} of ${table.capacity} slots`,
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
