/**
 * The texts of /proc/net/ip_vs, ip_vs_conn and ip_vs_stats as the kernel writes them, blank for blank, for the
 * collectors that read those. Addresses and ports are hexadecimal; so are all numbers of ip_vs_stats.
 */
import type { Forwarding } from '../director/table.ts';
import { serviceFamily } from '../director/table.ts';
import type { ConnectionEntry, Counters, TakeConnections } from '../engines/engine.ts';
import type { Address } from '../util/ip.ts';
import { addressBytes, familyOf } from '../util/ip.ts';
import type { DestinationListing, ServiceListing } from './listing.ts';
import { kernelOrder } from './listing-order.ts';
import type { Statistics } from './statistics.ts';

export const procNames = ['ip_vs', 'ip_vs_conn', 'ip_vs_stats'] as const;

export type ProcName = (typeof procNames)[number];

/** What they are made of; a director's control socket offers it. */
export interface ProcSource {
  list(): Promise<readonly ServiceListing[]>;
  connections(take: TakeConnections): Promise<void>;
  statistics(): Statistics | Promise<Statistics>;
}

/** Persistence is told in ticks of the kernel's clock, of which a second has as many as user space counts with. */
const ticksOfSecond = 100;

/** Services in one piece. */
const pieceSize = 500;

/** Writes one text, in pieces; the next when `write` is done with the one before. */
export async function writeProc(
  name: ProcName,
  source: ProcSource,
  write: (piece: string) => void | Promise<void>,
): Promise<void> {
  switch (name) {
    case 'ip_vs': {
      const services = kernelOrder(await source.list());
      await write(tableTitle);
      for (let at = 0; at < services.length; at += pieceSize) {
        await write(
          services
            .slice(at, at + pieceSize)
            .map(serviceText)
            .join(''),
        );
      }
      break;
    }
    case 'ip_vs_conn':
      await write(connectionsTitle);
      await source.connections((part) => write(part.map(connectionText).join('')));
      break;
    case 'ip_vs_stats':
      await write(statisticsText(await source.statistics()));
  }
}

const tableTitle = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

const connectionsTitle = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n';

function serviceText(service: ServiceListing): string {
  return `${serviceName(service)}${persistence(service)}\n${service.destinations.map(destinationText).join('')}`;
}

/** With the blank that the kernel leaves for what may follow. */
function serviceName({ id, settings }: ServiceListing): string {
  const { scheduler, onePacket } = settings;
  const ops = onePacket ? 'ops ' : '';
  if (id.kind === 'fwmark') return `FWM  ${hex(id.mark, 8)} ${scheduler} ${ops}`;
  const name = `${id.protocol.toUpperCase()}  ${endpoint(id.address, id.port)} ${scheduler}`;
  // The kernel shows one-packet scheduling of IPv4 services only.
  return familyOf(id.address) === 'inet6' ? `${name} ` : `${name} ${ops} `;
}

function persistence(service: ServiceListing): string {
  const { persistence: seconds, netmask } = service.settings;
  if (seconds === 0) return '';
  // A prefix length is printed as if it were a mask in network order.
  const mask = serviceFamily(service.id) === 'inet' ? hex(netmask, 8) : `${hex(netmask, 2)}000000`;
  return `persistent ${seconds * ticksOfSecond} ${mask}`;
}

function destinationText({ id, forwarding, weight, active, inactive }: DestinationListing): string {
  const columns = [
    forwardNames[forwarding].padEnd(7),
    weight.toString().padEnd(6),
    active.toString().padEnd(10),
    inactive.toString().padEnd(10),
  ];
  return `  -> ${endpoint(id.address, id.port)}      ${columns.join(' ')}\n`;
}

const forwardNames: Readonly<Record<Forwarding, string>> = {
  masq: 'Masq',
  gate: 'Route',
  ipip: 'Tunnel',
  local: 'Local',
};

function connectionText(entry: ConnectionEntry): string {
  const { engineData } = entry;
  const columns = [
    entry.protocol.toUpperCase().padEnd(3),
    hexAddress(entry.client),
    hex(entry.clientPort, 4),
    hexAddress(entry.virtual),
    hex(entry.virtualPort, 4),
    hexAddress(entry.destination),
    hex(entry.destinationPort, 4),
    entry.state.padEnd(11),
    Math.max(0, Math.floor(entry.expires)).toString().padStart(7),
    ...(engineData === undefined ? [] : [engineData.engine, engineData.data]),
  ];
  return `${columns.join(' ')}\n`;
}

function statisticsText({ totals, rates }: Statistics): string {
  return `   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
${countersLine(totals)}

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
${countersLine(rates)}
`;
}

function countersLine({ connections, inPackets, outPackets, inBytes, outBytes }: Counters): string {
  const narrow = [connections, inPackets, outPackets].map((count) => hex(count).padStart(8));
  return [...narrow, ...[inBytes, outBytes].map((bytes) => hex(bytes).padStart(16))].join(' ');
}

/** `0A000001:0050`, `[2001:0db8:...:0001]:0050` */
function endpoint(address: Address, port: number): string {
  const text = hexAddress(address);
  return `${familyOf(address) === 'inet' ? text : `[${text}]`}:${hex(port, 4)}`;
}

/** Eight capital digits, or the eight groups of an IPv6 address in full. */
function hexAddress(address: Address): string {
  const digits = Buffer.from(addressBytes(address)).toString('hex');
  return familyOf(address) === 'inet' ? digits.toUpperCase() : (digits.match(/.{4}/g) ?? []).join(':');
}

function hex(value: number, width = 0): string {
  return value.toString(16).toUpperCase().padStart(width, '0');
}
