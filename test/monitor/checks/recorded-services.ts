/**
 * Recordings of single checks of the real ldirectord against fake servers: a configuration, the verdict, and what went over the wire
 * as the fake server saw it.
 */
import { readFileSync } from 'node:fs';

export interface RecordedService {
  /** Which fake server it was: `pop`, `sip-udp`, `dns-tcp`. */
  readonly service: string;
  readonly title: string;
  /** What the fake server was told to do: `ok`, `badpw`, `silent`, `404 Not Found`. */
  readonly mode: string;
  /** One section with one real server, 10.2.0.11. */
  readonly config: string;
  readonly up: boolean;
  /** Whether the daemon lived on. */
  readonly alive: boolean;
  /** What was written to the monitorfile. */
  readonly monitor: string;
  readonly wire: string;
  readonly log: string;
}

export interface Turn {
  readonly from: 'client' | 'server';
  readonly bytes: Buffer;
  /** The client closed its side after this. */
  readonly last: boolean;
}

/** One connection; over UDP one request with its answer. */
export type Exchange = readonly Turn[];

export function recordedServices(file: string): readonly RecordedService[] {
  const path = new URL(`../../golden/${file}`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as readonly RecordedService[];
}

/** The exchanges of the first check: `client <(until EOF) b'...'`, a line each, `--` at the end of a connection. */
export function exchangesOf({ service, wire }: RecordedService): readonly Exchange[] {
  const exchanges: Turn[][] = [];
  let current: Turn[] | undefined;
  for (const line of wire.split('\n')) {
    const [, peer, sign, until, literal = ''] =
      /^(\S+) (<|>|--|EXC) ?(\(until EOF\))? ?(.*)$/.exec(line) ?? [];
    // others are still ending what the case before began
    if (peer !== service) continue;
    const datagram = sign === '<' && overUdp.has(service);
    if (sign === '--' || sign === 'EXC' || datagram) current = undefined;
    if (sign !== '<' && sign !== '>') continue;
    if (current === undefined) exchanges.push((current = []));
    const from = sign === '<' ? 'client' : 'server';
    current.push({ from, bytes: bytesOf(literal), last: until !== undefined });
  }
  return firstOfSeveral(exchanges);
}

const overUdp: ReadonlySet<string> = new Set(['sip-udp', 'dns', 'radius']);

/** Checks went on, each like the one before. Only those that follow redirects have more than one exchange. */
function firstOfSeveral(exchanges: readonly Exchange[]): readonly Exchange[] {
  const requests = exchanges.map(([first]) => first?.bytes.toString('latin1') ?? '');
  if (!/ HTTP\/1/.test(requests[0] ?? '')) return exchanges.slice(0, 1);
  const repeats = (k: number) => k > 0 && requests.every((request, i) => request === requests[i % k]);
  const period = requests.findIndex((_, k) => repeats(k));
  return period < 0 ? exchanges : exchanges.slice(0, period);
}

/** Python's `b'...'`, or hexadecimal digits in quotes with or without the same once more as `b'...'`. */
function bytesOf(literal: string): Buffer {
  const hex = /^["']([0-9a-f]+)(?: b.*)?["']$/.exec(literal)?.[1];
  if (hex !== undefined) return Buffer.from(hex, 'hex');
  const text = /^b(["'])(.*)\1$/s.exec(literal)?.[2];
  if (text === undefined) throw new Error(`what is ${literal}?`);
  const plain = text.replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, code?: string, escape = '') =>
    code === undefined
      ? (escapes[escape as string] ?? (escape as string))
      : String.fromCharCode(parseInt(code, 16)),
  );
  return Buffer.from(plain, 'latin1');
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
