/**
 * IPVS's view of a TCP connection: its states, and the next state for a packet of each direction. State numbers are
 * those of IPVS's sync protocol. A director sees packets, not sockets, so these are not the states of RFC 9293.
 */
import { TCP, UDP } from './protocols.ts';

export const TcpState = {
  none: 0,
  established: 1,
  synSent: 2,
  synRecv: 3,
  finWait: 4,
  timeWait: 5,
  close: 6,
  closeWait: 7,
  lastAck: 8,
  listen: 9,
  synAck: 10,
} as const;
export type TcpState = (typeof TcpState)[keyof typeof TcpState];

/** Which way a packet goes; `inputOnly` when replies bypass the director (gate, ipip). */
export const Direction = { input: 0, output: 1, inputOnly: 2 } as const;
export type Direction = (typeof Direction)[keyof typeof Direction];

/** What a packet means to the connection; `other` has none of the four flags. */
export const TcpEvent = { syn: 0, fin: 1, ack: 2, rst: 3, other: 4 } as const;
export type TcpEvent = (typeof TcpEvent)[keyof typeof TcpEvent];

/** Names as listings show them, by state. */
export const tcpStateNames = [
  'NONE',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'SYNACK',
] as const;

/** Two-letter codes of the tables below, by state. */
const codes = ['NO', 'ES', 'SS', 'SR', 'FW', 'TW', 'CL', 'CW', 'LA', 'LI', 'SA'];

/** In a table that tells differences. */
const SAME = 0xff;

/** Per direction and event (`syn`, `fin`, `ack`, `rst`): the next state, in columns of the current one. */
const transitions = `
  NO ES SS SR FW TW CL CW LA LI SA   from
  SR ES ES SR SR SR SR SR SR SR SR   input: client to server
  CL CW SS TW TW TW CL CW LA LI TW
  ES ES SS ES FW TW CL CW CL LI ES
  CL CL CL SR CL CL CL CL LA LI SR
  SS ES SS SR SS SS SS SS SS LI SR   output: server to client
  TW FW SS TW FW TW CL TW LA LI TW
  ES ES SS ES FW TW CL CW LA ES ES
  CL CL SS CL CL TW CL CL CL CL CL
  SR ES ES SR SR SR SR SR SR SR SR   input only
  CL FW SS TW FW TW CL CW LA LI TW
  ES ES SS ES FW TW CL CW CL LI ES
  CL CL CL SR CL CL CL CL LA LI CL`;

/** The same with `secure_tcp`, where it differs: a client is believed only once the server has said more than SYN ACK. */
const secureTransitions = `
  NO ES SS SR FW TW CL CW LA LI SA   from
  .. .. .. .. .. .. .. .. .. .. SA   input: client to server
  .. .. .. .. .. .. .. .. .. .. SA
  .. .. .. SR .. .. .. .. .. .. SA
  .. .. .. .. .. .. .. .. .. .. CL
  .. .. .. SA .. .. .. .. .. .. SA   output: server to client
  .. .. .. .. .. .. .. .. .. .. ..
  .. .. .. .. .. .. .. .. .. .. ..
  .. .. .. .. .. .. .. .. .. .. ..
  SA .. .. .. SA SA SA SA SA SA SA   input only
  .. .. .. .. .. .. .. .. .. .. ..
  .. .. .. .. .. .. .. .. .. .. ..
  .. .. .. .. .. .. .. .. .. .. ..`;

const EVENTS = 4;
const STATES = tcpStateNames.length;
const table = parse(transitions);
const secureTable = parse(secureTransitions).map((state, at) => (state === SAME ? (table[at] ?? 0) : state));

function parse(text: string): Uint8Array {
  const rows = text.trim().split('\n').slice(1);
  return Uint8Array.from(
    rows.flatMap((row) => row.trim().split(' ').slice(0, STATES)),
    (code) => (code === '..' ? SAME : codes.indexOf(code)),
  );
}

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

/** The event of a packet's TCP flag byte. */
export function tcpEvent(flags: number): TcpEvent {
  if ((flags & RST) !== 0) return TcpEvent.rst;
  if ((flags & SYN) !== 0) return TcpEvent.syn;
  if ((flags & FIN) !== 0) return TcpEvent.fin;
  return (flags & ACK) !== 0 ? TcpEvent.ack : TcpEvent.other;
}

/** The state after a packet; `secure` as the sysctl `secure_tcp`. Allocates nothing. */
export function nextTcpState(direction: Direction, event: TcpEvent, state: number, secure = false): TcpState {
  if (event === TcpEvent.other) return TcpState.close;
  const next = (secure ? secureTable : table)[(direction * EVENTS + event) * STATES + state];
  return (next ?? TcpState.close) as TcpState;
}

/** Whether a TCP connection in this state counts as active. UDP flows never do. */
export function isActive(state: number): boolean {
  return (
    state === TcpState.established ||
    state === TcpState.synSent ||
    state === TcpState.synRecv ||
    state === TcpState.synAck
  );
}

/** The state as listings show it. Only TCP has more than one. */
export function stateName(protocol: number, state: number): string {
  if (protocol === TCP) return tcpStateNames[state] ?? 'NONE';
  return protocol === UDP ? 'UDP' : 'NONE';
}
