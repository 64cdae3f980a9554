/** An answer of the program in the kernel in words, and as JSON. */
import type { SimulateCommand } from '../../cli/seeing-commands.ts';
import { forwardNames } from '../../cli/directoradm-listing.ts';
import type { ServiceId } from '../../director/table.ts';
import { serviceKey } from '../../director/table.ts';
import type { Answer, Load, Way } from '../../engines/ebpf/simulation.ts';
import { formatEndpoint } from '../../util/ip.ts';

export interface Question {
  readonly command: SimulateCommand;
  /** By which the packet comes. */
  readonly interface: string;
}

type NameOf = (interfaceIndex: number) => string;

/** A few lines: what is asked, what becomes of it, where it goes. */
export function answerText(question: Question, answer: Answer, nameOf: NameOf): string {
  const { protocol, source, target, flags } = question.command;
  const ends = `${formatEndpoint(source.address, source.port)} -> ${formatEndpoint(target.address, target.port)}`;
  const kind = protocol === 'tcp' ? ` ${flagWords(flags)}` : '';
  const lines = [`${protocol.toUpperCase()} ${ends}${kind}, in by ${question.interface}`];
  if (answer.ends) lines.push('the connection that there is ends with it');
  if (answer.mark !== 0) lines.push(`firewall mark ${answer.mark}`);
  lines.push(...dropLines(answer));
  lines.push(...outcomeLines(answer, question));
  if (answer.way !== undefined) lines.push(...wayLines(answer.way, nameOf));
  return `${lines.map((line, at) => (at === 0 ? line : `  ${line}`)).join('\n')}\n`;
}

function outcomeLines(answer: Answer, { command: { protocol, source } }: Question): string[] {
  const service = answer.service === undefined ? '' : nameOfService(answer.service);
  const scheduler = answer.scheduler ?? '';
  switch (answer.outcome) {
    case 'pass':
      return [`not forwarded: ${passedWords(answer, protocol)}`];
    case 'drop':
      return [`dropped: ${answer.dropped ?? ''}${service && ` (service ${service})`}`];
    case 'unknown':
      return [
        `cannot be told: the service ${service} goes by the Call-ID in the packet's data (--pe sip), and a packet made of addresses has none`,
        'a packet without one is dropped',
      ];
    case 'refuse':
      return [
        `refused, the client gets ICMP port unreachable: no server of ${service} takes connections`,
        loads(answer),
      ];
    case 'stray':
      return ['the sender, a real server, gets ICMP port unreachable: it belongs to no connection'];
    case 'begun':
      return [`begins a connection: ${serverWords(answer)} is a real server that may`];
    case 'connection':
      return [`connection of ${service}: ${connectionWords(answer)}`, `to ${serverWords(answer)}`];
    case 'reply':
      return [
        `reply of a connection of ${service}: ${connectionWords(answer)}`,
        `from ${formatEndpoint(source.address, source.port)}, goes on as from ${formatEndpoint(answer.virtual ?? '', answer.port)}`,
      ];
    case 'new':
    case 'one-packet': {
      const what = answer.outcome === 'new' ? 'new connection' : 'one packet';
      const why =
        answer.template === undefined
          ? `scheduler ${scheduler}`
          : `its client's persistence template, ${answer.template} s left`;
      return [`${what} of ${service}`, `to ${serverWords(answer)}, by ${why}${chance(answer)}`];
    }
  }
}

/** `twos` draws lots: another packet may go elsewhere. */
function chance({ scheduler, template }: Answer): string {
  return scheduler === 'twos' && template === undefined ? ' (by lot: this time)' : '';
}

function passedWords({ passed, service }: Answer, protocol: string): string {
  switch (passed) {
    case 'no-service':
      return `no virtual service for this address and port${protocol === 'tcp' ? '' : ', and no connection'}; left to this host`;
    case 'no-syn':
      return 'it belongs to no connection, and opens none (no SYN, or RST); left to this host';
    case 'ftp-data':
      return `FTP data that the service ${service === undefined ? '' : nameOfService(service)} does not take; left to this host`;
    default:
      return 'left to this host';
  }
}

function connectionWords({ connection }: Answer): string {
  return `${connection?.state ?? ''}, ends in ${clock(connection?.seconds ?? 0)} without packets`;
}

function serverWords({ destination, port }: Answer): string {
  if (destination === undefined) return 'a server that is gone';
  const { id, forwarding, weight, active, inactive } = destination;
  const place = formatEndpoint(id.address, port === 0 ? id.port : port);
  return `${place} (${forwardNames[forwarding]}, weight ${weight}, ${active} active, ${inactive} inactive)`;
}

function loads({ servers }: Answer): string {
  if (servers.length === 0) return 'it has no servers';
  const count = (is: (load: Load) => boolean): number => servers.filter(is).length;
  const quiescent = count(({ weight }) => weight === 0);
  const overloaded = count(({ weight, overloaded }) => weight !== 0 && overloaded);
  return `of ${servers.length} servers ${quiescent} have weight 0, ${overloaded} are overloaded or cannot be forwarded to`;
}

/** Whether drop_packet takes this one. */
export function isDropped({ dropPacket }: Answer): boolean {
  return dropPacket?.next === 1;
}

function dropLines(answer: Answer): string[] {
  if (answer.dropPacket === undefined) return [];
  const { rate, next } = answer.dropPacket;
  return [
    isDropped(answer)
      ? `dropped: drop_packet drops one new connection of ${rate}, and this is the one; else`
      : `drop_packet drops one new connection of ${rate}, next number ${next} from this one on`,
  ];
}

function wayLines(way: Way, nameOf: NameOf): string[] {
  switch (way.kind) {
    case 'local':
      return ['which is this host'];
    case 'none':
      return [`but there is no way: ${way.reason}`];
    case 'hop': {
      const { interfaceIndex, address, mac, mtu, overhead } = way.hop;
      const who = mac === undefined ? 'hardware address not known yet' : `at ${mac}`;
      const fits = `the tunnel's headers take ${overhead} bytes: longer packets than ${mtu - overhead} do not fit, and are cut, or their sender is told`;
      return [
        `out by ${nameOf(interfaceIndex)}, next hop ${address} ${who}, MTU ${mtu}`,
        ...(overhead > 0 ? [fits] : []),
      ];
    }
  }
}

/** What scripts read: the facts, by names that do not change. */
export function answerJson(
  { command, interface: entrance }: Question,
  answer: Answer,
  nameOf: NameOf,
): object {
  const { protocol, source, target, flags } = command;
  const { service, destination, way, connection } = answer;
  return {
    packet: {
      protocol,
      source: formatEndpoint(source.address, source.port),
      target: formatEndpoint(target.address, target.port),
      ...(protocol === 'tcp' && { flags: flagWords(flags) }),
      interface: entrance,
    },
    outcome: isDropped(answer) ? 'drop' : answer.outcome,
    ...(isDropped(answer) && { reason: 'dropped by drop_packet' }),
    ...(answer.dropped !== undefined && { reason: answer.dropped }),
    ...(answer.passed !== undefined && { reason: answer.passed }),
    ...(answer.mark !== 0 && { mark: answer.mark }),
    ...(answer.ends && { endsConnection: true }),
    ...(service !== undefined && { service: serviceKey(service), scheduler: answer.scheduler }),
    ...(connection !== undefined && { connection: { state: connection.state, expires: connection.seconds } }),
    ...(answer.template !== undefined && { template: { expires: answer.template } }),
    ...(destination !== undefined && {
      destination: {
        server: formatEndpoint(
          destination.id.address,
          answer.port === 0 || answer.outcome === 'reply' ? destination.id.port : answer.port,
        ),
        forwarding: forwardNames[destination.forwarding],
        weight: destination.weight,
        active: destination.active,
        inactive: destination.inactive,
      },
    }),
    ...(answer.virtual !== undefined && { translated: formatEndpoint(answer.virtual, answer.port) }),
    ...(answer.dropPacket !== undefined && { dropPacket: answer.dropPacket }),
    ...(answer.outcome === 'refuse' && { servers: answer.servers }),
    ...(way !== undefined && { way: way.kind === 'hop' ? { kind: way.kind, ...hopJson(way, nameOf) } : way }),
  };
}

function hopJson({ hop }: Extract<Way, { kind: 'hop' }>, nameOf: NameOf): object {
  const { interfaceIndex, address, mac, mtu, overhead } = hop;
  return { interface: nameOf(interfaceIndex), address, mac: mac ?? null, mtu, room: mtu - overhead };
}

const letters = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'];

function flagWords(flags: number): string {
  return letters.filter((_, bit) => (flags & (1 << bit)) !== 0).join(' ') || 'without flags';
}

function nameOfService(id: ServiceId): string {
  return serviceKey(id);
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
