/** Tells a story to an engine: each step's outcome, as it should be and as it was, in the story's own words. */
import type { ConnectionEntry } from '../../src/engines/engine.ts';
import { formatEndpoint } from '../../src/util/ip.ts';
import { decode } from './packet-decode.ts';
import { encode } from './packet-encode.ts';
import type { PacketText } from './packet-text.ts';
import type { Forwarded, Subject } from './story-subject.ts';
import type { Sent, Side, Step, Story } from './story.ts';

export interface Outcome {
  /** Which step: `3 in client 10.1.0.2 > 10.1.0.100 tcp SA`. */
  readonly title: string;
  readonly wanted: unknown;
  readonly found: unknown;
}

type PacketStep = Extract<Step, { in: unknown }>;

/** When every story begins. */
export const beginning = 1_000_000;

export async function tell(story: Story, subject: Subject): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let now = beginning;
  const ends = subject.reassembles ? undefined : datagramEnds(story.steps);
  let pieces: [PacketStep, Told][] = [];
  for (const [i, step] of story.steps.entries()) {
    const outcome = (what: string, wanted: unknown, found: unknown) =>
      outcomes.push({ title: `${i + 1} ${what}`, wanted, found });
    if ('in' in step) {
      const { side, packet } = step.in;
      const title = `in ${side} ${packet.src} > ${packet.dst} ${packetWord(packet)}`;
      pieces.push([step, forwarded(subject, side, packet, now)]);
      if (ends?.has(i) === false) continue;
      outcome(title, ...comparedDatagram(pieces));
      pieces = [];
    } else if ('ipvsadm' in step) await subject.ipvsadm(step.ipvsadm.split(' '));
    else if ('sysctl' in step) {
      for (const [name, value] of Object.entries(step.sysctl)) subject.sysctl(name, value);
    } else if ('wait' in step) {
      now += step.wait * 1000;
      subject.advance(now);
    } else if ('connections' in step) {
      outcome(
        'connections',
        step.connections,
        subject
          .connections(now + 1)
          .map(row)
          .sort(),
      );
    } else if ('listing' in step) outcome('listing', step.listing, collapsed(subject.listing('')));
    else if ('stats' in step) outcome('stats', step.stats, collapsed(subject.listing('--stats')));
    else outcome('persistent', step.persistent, collapsed(subject.listing('--persistent-conn')));
  }
  return outcomes;
}

interface Told {
  readonly verdict: Forwarded['verdict'];
  readonly out: readonly Sent[];
}

function forwarded(subject: Subject, side: Side, packet: PacketText, now: number): Told {
  const { verdict, out } = subject.forward(side, encode(packet), now);
  return { verdict, out: out.map(({ to, packet }) => ({ to, packet: decode(packet) })) };
}

/**
 * What should have come out and what did. An engine that passes a packet on leaves it to the host's own stack: that is right
 * where the stack got it unchanged, or where it only routed it, or answered that it cannot.
 */
function compared(step: PacketStep, told: Told): [wanted: unknown, found: unknown] {
  const wanted = step.out;
  const found = told.out.map(({ to, packet }, i) => ({ to, packet: asFree(wanted[i]?.packet, packet) }));
  if (told.verdict === 'pass' && found.length === 0) {
    const left = leftToStack(step);
    return left ? ['pass', 'pass'] : [wanted, 'pass'];
  }
  return [wanted, found];
}

/** The steps with the last piece of a datagram, and all that are no pieces. */
function datagramEnds(steps: readonly Step[]): ReadonlySet<number> {
  const datagrams = steps.map((step, i) => ('in' in step ? (datagramOf(step) ?? i) : undefined));
  return new Set(
    datagrams.flatMap((name, i) => (name !== undefined && datagrams[i + 1] !== name ? [i] : [])),
  );
}

/** Names the datagram that it is a piece of. */
function datagramOf({ in: { packet } }: PacketStep): string | undefined {
  const { src, dst, id, mf, offset } = packet;
  return mf === true || offset !== undefined ? `${src} ${dst} ${id}` : undefined;
}

/** Of one packet, or of all pieces of a datagram: where they need not wait for each other, what comes out in which order is open. */
function comparedDatagram(pieces: readonly [PacketStep, Told][]): [wanted: unknown, found: unknown] {
  const [[last, told]] = pieces.slice(-1) as [[PacketStep, Told]];
  if (pieces.length === 1) return compared(last, told);
  const wanted = pieces.flatMap(([{ out }]) => out);
  const found = pieces.flatMap(([, { out }]) => out);
  const verdict = pieces.every(([, { verdict }]) => verdict === told.verdict) ? told.verdict : 'sent';
  const sortedWanted = byOffset(wanted);
  const [, told2] = compared({ ...last, out: sortedWanted }, { verdict, out: byOffset(found) });
  return [sortedWanted, told2];
}

function byOffset(frames: readonly Sent[]): Sent[] {
  return frames.toSorted((a, b) => (a.packet.offset ?? 0) - (b.packet.offset ?? 0));
}

function leftToStack({ in: { side, packet }, out }: PacketStep): boolean {
  const [only] = out;
  // a free number is one that the director picked
  if (only === undefined || out.length > 1 || JSON.stringify(only).includes('"any"')) return false;
  if (only.to === 'local') return same(only.packet, packet);
  if (side === 'client' && isVirtual(packet.dst)) return false;
  const ttl = packet.ttl ?? 64;
  return ttl > 1
    ? same({ ...only.packet, ttl }, { ...packet, ttl })
    : only.packet.icmp?.is === 'time exceeded';
}

/** Routed unchanged and sent on by `gate` look the same: only the address tells. */
function isVirtual(address: string): boolean {
  return address === '10.1.0.100' || address === '2001:db8:1::100';
}

function same(a: PacketText, b: PacketText): boolean {
  return Buffer.from(encode(a)).equals(encode(b));
}

/** What was found, but `any` where any number is right. */
function asFree(wanted: unknown, found: PacketText): PacketText;
function asFree(wanted: unknown, found: unknown): unknown;
function asFree(wanted: unknown, found: unknown): unknown {
  if (wanted === 'any') return 'any';
  if (!isRecord(wanted) || !isRecord(found)) return found;
  const free = Object.entries(found).map(([name, value]) => [name, asFree(wanted[name], value)]);
  // A free number may be the one that is not written.
  const absent = Object.entries(wanted).filter(([name, value]) => value === 'any' && !(name in found));
  return Object.fromEntries([...free, ...absent]) as unknown;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function packetWord(packet: PacketText): string {
  if (packet.tcp) return `tcp ${packet.tcp.flags ?? ''}`;
  if (packet.icmp) return `icmp ${packet.icmp.is}`;
  return packet.udp ? 'udp' : `protocol ${packet.protocol ?? 'tunnel'}`;
}

/** Seconds are counted as in the recordings, where it is a moment later and the kernel rounds down. */
function row(entry: ConnectionEntry): string {
  return [
    entry.protocol.toUpperCase(),
    entry.state,
    formatEndpoint(entry.client, entry.clientPort),
    formatEndpoint(entry.virtual, entry.virtualPort),
    formatEndpoint(entry.destination, entry.destinationPort),
    entry.expires + 1,
    ...(entry.engineData === undefined ? [] : [entry.engineData.engine, entry.engineData.data]),
  ].join(' ');
}

function collapsed(text: string): readonly string[] {
  return text
    .split('\n')
    .slice(3)
    .map((line) => line.trim().replaceAll(/\s+/g, ' '))
    .filter((line) => line !== '');
}
