/** What the kernel did at one step, in the words of a story. */
import { decode } from '../support/packet-decode.ts';
import type { Free, PacketText, UdpText } from '../support/packet-text.ts';
import { guePort } from '../support/packet-text.ts';
import type { Sent, Step } from '../support/story.ts';
import { formatAddress } from '../../src/util/ip.ts';

/** From record.py: `[host, packet]`s in hexadecimal, lines of text, or an error message (empty when all was well). */
export type StepAnswer = string | readonly string[] | readonly (readonly [string, string])[];

export function told(step: Step, answer: StepAnswer): Step {
  if ('in' in step) return sent(step.in, answer as readonly (readonly [string, string])[]);
  if ('connections' in step) return { connections: (answer as readonly string[]).map(connection).sort() };
  if ('listing' in step) return { listing: collapsed(answer as readonly string[]) };
  if ('stats' in step) return { stats: collapsed(answer as readonly string[]) };
  if ('persistent' in step) return { persistent: collapsed(answer as readonly string[]) };
  if (typeof answer === 'string' ? answer !== '' : answer.length > 0) {
    throw new Error(`${JSON.stringify(step)}: ${JSON.stringify(answer)}`);
  }
  return step;
}

/** Where the director's own stack got a packet, the others are its answers to that. */
function sent(
  asked: Extract<Step, { in: unknown }>['in'],
  frames: readonly (readonly [string, string])[],
): Step {
  const all = frames.map(([to, hex]): Sent => {
    const packet = decode(Buffer.from(hex, 'hex'));
    return { to, packet: withoutChance(packet, asked.packet) };
  });
  const local = all.filter(({ to }) => to === 'local');
  const others = all.filter(({ to }) => to !== 'local');
  if (local.length === 0) return { in: asked, out: others };
  return { in: asked, out: local, ...(others.length === 0 ? {} : { stack: others }) };
}

/** Numbers that the kernel drew, and that are not those of the packet that came in. */
function withoutChance(packet: PacketText, came: PacketText): PacketText {
  const drawn = (value: Free | undefined, given: Free | undefined): Free | undefined =>
    value === undefined || value === given ? value : 'any';
  const id = drawn(packet.id, came.id);
  const flow = drawn(packet.flow, came.flow);
  return {
    ...packet,
    ...(id === undefined ? {} : { id }),
    ...(flow === undefined ? {} : { flow }),
    ...(packet.udp && packet.mf === true && packet.udp.dport === guePort
      ? { udp: guePiece(packet.udp) }
      : {}),
    ...(packet.ipip ? { ipip: withoutChance(packet.ipip, came) } : {}),
    ...(packet.gue
      ? { gue: { ...packet.gue, sport: 'any', packet: withoutChance(packet.gue.packet, came) } }
      : {}),
    ...(packet.gre ? { gre: { ...packet.gre, packet: withoutChance(packet.gre.packet, came) } } : {}),
  };
}

/** The first fragment of a tunnel packet. */
function guePiece(udp: UdpText): UdpText {
  return { ...udp, sport: 'any', ...(udp.checksum === 'none' ? {} : { checksum: 'any' }) };
}

/**
 * `TCP 0A010002 C351 0A010064 0050 0A02000B 0050 ESTABLISHED     899` of /proc/net/ip_vs_conn, which rounds seconds down;
 * behind it a template may have its persistence engine and what that knows it by: ` sip aaa@x`.
 */
function connection(line: string): string {
  const [protocol = '', client = '', cport = '', virtual = '', vport = '', ...rest] = line
    .trim()
    .split(/\s+/);
  const [destination = '', dport = '', state = '', seconds = '', ...engine] = rest;
  const ends = [
    [client, cport],
    [virtual, vport],
    [destination, dport],
  ] as const;
  const text = ends.map(([address, port]) => `${endpoint(address)}:${Number.parseInt(port, 16)}`);
  return [protocol, state, ...text, Number(seconds) + 1, ...engine].join(' ');
}

function endpoint(address: string): string {
  const bytes = Buffer.from(address.replaceAll(':', ''), 'hex');
  return bytes.length === 4 ? formatAddress(bytes) : `[${formatAddress(bytes)}]`;
}

function collapsed(lines: readonly string[]): readonly string[] {
  return lines
    .slice(3)
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '');
}
