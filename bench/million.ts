/**
 * A million connections through the packet engine's forwarder itself: SYN, SYN-ACK and ACK of each, as it gets them from a
 * capture, then data both ways in no order. No network, and a process of its own. Times are processor time of one packet,
 * which on a shared machine says more than the clock.
 */
import { readFileSync } from 'node:fs';
import { Place, type Egress } from '../src/engines/packet/forwarding/egress.ts';
import { PacketTable } from '../src/engines/packet/packet-table.ts';
import { Verdict } from '../src/engines/packet/forwarding/verdict.ts';
import { defaultVsSettings } from '../src/engines/vs-settings.ts';
import { masq, roundRobin, tcp80 } from '../test/support/table.ts';
import { ACK, ipv4, SYN, writePacket, type Endpoint } from '../test/support/frames.ts';

const million = 1_000_000;
/** Has no divisor in common with a million: steps of it visit each connection once, in no order. */
const stride = 618_033;
const frame = Buffer.alloc(14 + 40);
const servers = Array.from({ length: 10 }, (_, i) => `10.2.0.${11 + i}`);
const serverEnds = servers.map((server) => ({ address: ipv4(server), port: 80 }));
const virtual: Endpoint = { address: ipv4('10.1.0.100'), port: 80 };
const client = { address: 0, port: 0 };
const before = memory();

/** Everything is far away and gets there; the last packet stays to be looked at. */
class Nowhere implements Egress {
  sent = 0;
  readonly #source = new Int32Array(4);
  serverHop = (): number => 1;
  hopTo = (): number => 2;
  valid = (): boolean => true;
  place = (): Place => Place.remote;
  isLocal = (): boolean => false;
  mtuTo = (): number => 1500;
  source = (): Int32Array => this.#source;
  isOwn = (): boolean => false;
  learnMtu = (): void => undefined;
  send = (): void => void (this.sent += 1);
  local = (): void => undefined;
}

const egress = new Nowhere();
const table = new PacketTable({
  size: { services: 16384, destinations: 65536 },
  settings: { ...defaultVsSettings },
  capacity: 2 ** 20,
  limit: 2 ** 22,
  halfOpen: 2 ** 17,
  seed: 0x5eed,
  now: 0,
  egress: () => egress,
  mark: () => 0,
  unanswered: () => undefined,
  problem: (message) => {
    throw new Error(message);
  },
  serverChanged: () => undefined,
});
table.apply([
  { verb: 'add-service', service: tcp80, settings: roundRobin },
  ...servers.toReversed().map((address) => ({
    verb: 'add-destination' as const,
    service: tcp80,
    destination: { address, port: 80 },
    settings: masq,
  })),
]);

writePacket(frame, 'tcp', { address: 1, port: 1 }, virtual, SYN);
let now = 0;
let unexpected = 0;

const writing = each((i) => {
  request(i, SYN);
  reply(i, SYN | ACK);
  request(i, ACK);
}, false);
const rows: [string, number][] = [];
const opening = each((i) => {
  request(i, SYN);
  forward();
  reply(i, SYN | ACK);
  forward();
  request(i, ACK);
  forward();
});
rows.push(['open: SYN, SYN-ACK and ACK', opening - writing]);
const full = memory();
const [writingRequest, writingReply] = [
  eachInNoOrder((i) => {
    request(i, ACK);
  }),
  eachInNoOrder((i) => {
    reply(i, ACK);
  }),
];
rows.push([
  'a packet of a client',
  eachInNoOrder((i) => {
    request(i, ACK);
    forward();
  }) - writingRequest,
]);
rows.push([
  'a packet of a server',
  eachInNoOrder((i) => {
    reply(i, ACK);
    forward();
  }) - writingReply,
]);

const { connections } = table;
const established = table.established();
const right = established === million && unexpected === 0 && egress.sent === 5 * million;
print('a million connections through the forwarder (NAT, 10 servers)');
for (const [what, nanoseconds] of rows) print(`${what.padEnd(32)}${nanoseconds.toFixed(0)} ns`);
const mib = (value: number) => `${value.toFixed(0)} MiB`;
print(`${'resident, all of the process'.padEnd(32)}${mib(full.resident)}, at most ${mib(full.peak)}`);
print(`${''.padEnd(32)}${mib(before.resident)} of it before, limit ${mib(256)}`);
print(
  `${'table'.padEnd(32)}${mib(connections.bytes / 2 ** 20)}, ` +
    `${(connections.bytes / connections.capacity).toFixed(0)} bytes a connection, ${connections.size} of ${connections.capacity} slots`,
);
print(
  right
    ? 'all are established, every packet was sent on'
    : `NOT AS EXPECTED: ${established} established, ${unexpected} packets not sent on, ${egress.sent} sent`,
);
process.exitCode = right ? 0 : 1;

/** Connections are opened in turn, so the server of each is known. */
function serverOf(i: number): Endpoint {
  return serverEnds[i % servers.length] ?? virtual;
}

function clientOf(i: number): Endpoint {
  client.address = 0x0a40_0000 + (i >> 3);
  client.port = 32_768 + (i & 7);
  return client;
}

function request(i: number, flags: number): void {
  writePacket(frame, 'tcp', clientOf(i), virtual, flags);
}

function reply(i: number, flags: number): void {
  writePacket(frame, 'tcp', serverOf(i), clientOf(i), flags);
}

function forward(): void {
  if (table.forwarder.forward(frame, 14, 40, now, 1500) !== Verdict.sent) unexpected += 1;
}

/** @returns nanoseconds of processor time of each of a million */
function each(work: (i: number) => void, ageing = true): number {
  const began = processorTime();
  for (let i = 0; i < million; i++) {
    // 100,000 connections a second
    if (ageing && i % 100_000 === 0) table.advance((now += 1000));
    work(i);
  }
  return ((processorTime() - began) * 1e6) / million;
}

function eachInNoOrder(work: (i: number) => void): number {
  let i = 0;
  return each(() => {
    i = (i + stride) % million;
    work(i);
  }, false);
}

/** Milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** MiB of this process. */
function memory(): { readonly resident: number; readonly peak: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024;
  return { resident: mib('VmRSS'), peak: mib('VmHWM') };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
