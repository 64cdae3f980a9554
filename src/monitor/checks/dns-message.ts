/** DNS messages (RFC 1035 section 4, RFC 3596): one question as bytes, and what the answer to it says. */
import { addressBytes, familyOf, formatAddress } from '../../util/ip.ts';
import type { Address } from '../../util/ip.ts';

const typeNumbers = { A: 1, PTR: 12, AAAA: 28 } as const;
const internet = 1;
const headerBytes = 12;
const nameBytes = 255;
const labelBytes = 63;

const statuses = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export interface DnsQuestion {
  /** Labels with dots between them, with or without one at the end; the root is empty. */
  readonly name: string;
  readonly type: keyof typeof typeNumbers;
}

export interface DnsAnswer {
  /** There is more, but it takes TCP to get it. */
  readonly truncated: boolean;
  /** `NOERROR`, `NXDOMAIN` ... */
  readonly status: string;
  /** The records of the type that was asked for, whatever name a chain of CNAMEs gave them: addresses, or names. */
  readonly records: readonly string[];
}

/** @throws when the name is none */
export function encodeQuestion(id: number, { name, type }: DnsQuestion): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2); // recursion desired
  header.writeUInt16BE(1, 4);
  const typeAndClass = Buffer.from([0, typeNumbers[type], 0, internet]);
  return Buffer.concat([header, encodeName(name), typeAndClass]);
}

/** @throws when the message is none, or answers another question */
export function decodeAnswer(message: Buffer, question: Buffer): DnsAnswer {
  try {
    if (message.length < headerBytes) throw new RangeError('no header');
    const flags = message.readUInt16BE(2);
    if (message.readUInt16BE(0) !== question.readUInt16BE(0) || (flags & 0x8000) === 0)
      throw new Error('an answer to another question');
    const truncated = (flags & 0x0200) !== 0;
    const code = flags & 0x000f;
    const status = statuses[code] ?? `RCODE ${code}`;
    // who does not understand or does not want a question need not repeat it
    if (code !== 0 && message.readUInt16BE(4) === 0) return { truncated, status, records: [] };
    if (message.length < question.length) throw new RangeError('no question');
    if (
      comparable(message.subarray(headerBytes, question.length)) !==
      comparable(question.subarray(headerBytes))
    )
      throw new Error('an answer to another question');
    return { truncated, status, records: truncated ? [] : recordTexts(message, question) };
  } catch (error) {
    if (error instanceof RangeError) throw new Error('a malformed answer', { cause: error });
    throw error;
  }
}

/** The name that has the PTR record of an address: `1.0.0.10.in-addr.arpa`. */
export function reverseName(address: Address): string {
  const bytes = [...addressBytes(address)].reverse();
  if (familyOf(address) === 'inet') return `${bytes.join('.')}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte & 0x0f, byte >> 4]);
  return `${nibbles.map((nibble) => nibble.toString(16)).join('.')}.ip6.arpa`;
}

function encodeName(name: string): Buffer {
  const labels = name === '' || name === '.' ? [] : name.replace(/\.$/, '').split('.');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label);
    if (bytes.length === 0 || bytes.length > labelBytes) throw new Error(`"${name}" is not a domain name`);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const encoded = Buffer.concat([...parts, Buffer.alloc(1)]);
  if (encoded.length > nameBytes) throw new Error(`"${name}" is not a domain name`);
  return encoded;
}

/** Letters count as equal in both cases. */
function comparable(bytes: Buffer): string {
  return bytes.toString('latin1').toLowerCase();
}

function recordTexts(message: Buffer, question: Buffer): string[] {
  const asked = question.readUInt16BE(question.length - 4);
  const texts: string[] = [];
  let at = question.length;
  for (let left = message.readUInt16BE(6); left > 0; left -= 1) {
    at = decodeName(message, at).end;
    const data = at + 10;
    const end = data + message.readUInt16BE(at + 8);
    if (end > message.length) throw new RangeError('a record is longer than the message');
    if (message.readUInt16BE(at) === asked && message.readUInt16BE(at + 2) === internet)
      texts.push(recordText(message, asked, data, end));
    at = end;
  }
  return texts;
}

function recordText(message: Buffer, type: number, start: number, end: number): string {
  if (type === typeNumbers.PTR) return decodeName(message, start).text;
  if (end - start !== (type === typeNumbers.A ? 4 : 16)) throw new RangeError('no address');
  return formatAddress(message.subarray(start, end));
}

/** @returns the name without a dot at its end, and where what follows it begins */
function decodeName(message: Buffer, start: number): { text: string; end: number } {
  const labels: string[] = [];
  let end: number | undefined;
  let bytes = 1;
  let earliest = start;
  for (let at = start; ;) {
    const length = message.readUInt8(at);
    if (length === 0) return { text: labels.join('.'), end: end ?? at + 1 };
    if (length > labelBytes) {
      const target = message.readUInt16BE(at) & 0x3fff;
      // a pointer leads back, or it would lead in a circle
      if (length < 0xc0 || target >= earliest) throw new RangeError('a bad pointer');
      end ??= at + 2;
      at = earliest = target;
    } else {
      bytes += 1 + length;
      if (bytes > nameBytes || at + 1 + length > message.length)
        throw new RangeError('a name without an end');
      labels.push(labelText(message.subarray(at + 1, at + 1 + length)));
      at += 1 + length;
    }
  }
}

/** What does not print, or would look like a separator, as master files have it: `\046` (RFC 1035 section 5.1). */
function labelText(label: Buffer): string {
  return label
    .toString('latin1')
    .replace(/[^!-~]|[.\\]/g, (char) => `\\${String(char.charCodeAt(0)).padStart(3, '0')}`);
}
