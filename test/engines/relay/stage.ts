/** The relay with real sockets on loopback, and what its tests need on either side of it. One relay a test file. */
import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type {
  DestinationSettings,
  ServiceId,
  ServiceSettings,
  VirtualService,
} from '../../../src/director/table.ts';
import { defaultTimeouts } from '../../../src/director/table.ts';
import type { ConnectionEntry, DestinationReport, Engine } from '../../../src/engines/engine.ts';
import { createRelay } from '../../../src/engines/relay/relay.ts';
import { masq, roundRobin } from '../../support/table.ts';
import { until } from '../../support/until.ts';

export const host = '127.0.0.1';
export const problems: string[] = [];
const replayed: VirtualService[] = [];
export const relay: Engine = createRelay(
  { problem: (message) => problems.push(message), info: () => undefined },
  { services: () => replayed, timeouts: () => defaultTimeouts },
);

/** A port that nobody uses at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const servers: Server[] = [];

/** A server whose connections are handled so; its port. */
export async function serve(handle: (socket: Socket) => void, half = false): Promise<number> {
  const server = createServer({ allowHalfOpen: half }, (socket) => {
    socket.on('error', () => undefined);
    handle(socket);
  }).listen(0, host);
  servers.push(server);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Greets with its name, then echoes. */
export function named(name: string): (socket: Socket) => void {
  return (socket) => {
    socket.write(`${name}\n`);
    socket.pipe(socket);
  };
}

export async function service(
  ports: readonly number[],
  wanted: Partial<ServiceSettings> = {},
  protocol: 'tcp' | 'udp' = 'tcp',
): Promise<ServiceId & { port: number }> {
  const id = { kind: 'address', protocol, address: host, port: await freePort() } as const;
  relay.apply({ verb: 'add-service', service: id, settings: { ...roundRobin, ...wanted } });
  for (const port of ports) add(id, port);
  if (protocol === 'udp') return id;
  await until(() => accepts(id.port));
  // The probe is scheduled like any connection; from here on the turn is known.
  await until(async () => (await destinations(id)).some(({ counters }) => counters.connections > 0));
  return id;
}

export function add(id: ServiceId, port: number, wanted: Partial<DestinationSettings> = {}): void {
  const destination = { address: host, port };
  relay.apply({ verb: 'add-destination', service: id, destination, settings: { ...masq, ...wanted } });
}

/** Whether a connection is taken; the probe is gone again, and from the counters too, when this resolves. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, host);
  const outcome = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.resetAndDestroy();
  return outcome;
}

export async function open(port: number): Promise<{ socket: Socket; greeting: string }> {
  const socket = connect({ port, host, allowHalfOpen: true });
  socket.on('error', () => undefined);
  const [greeting] = (await once(socket, 'data')) as [Buffer];
  return { socket, greeting: greeting.toString().trim() };
}

export async function received(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  await once(socket, 'close');
  return Buffer.concat(parts);
}

export async function destinations(id: ServiceId): Promise<readonly DestinationReport[]> {
  const report = await relay.report();
  return report.services.find((one) => JSON.stringify(one.id) === JSON.stringify(id))?.destinations ?? [];
}

export async function entry(socket: Socket): Promise<ConnectionEntry | undefined> {
  return (await connections()).find((one) => one.clientPort === socket.localPort);
}

export async function connections(): Promise<readonly ConnectionEntry[]> {
  const all: ConnectionEntry[] = [];
  await relay.connections((part) => {
    all.push(...part);
  });
  return all;
}

export async function leave(): Promise<void> {
  await relay.stop();
  for (const server of servers) server.close();
}
