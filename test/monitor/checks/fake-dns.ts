/** A name server whose messages are made by hand, so that they can be wrong in every way (RFC 1035 section 4). */
import type { Server } from 'node:net';
import { createServer } from 'node:net';

export const typeA = 1;
export const typeCname = 5;
export const typePtr = 12;
export const typeAaaa = 28;

/** The question section, and what it asks for. */
export function asked(question: Buffer) {
  const end = question.indexOf(0, 12) + 1;
  return { section: question.subarray(12, end + 4), type: question.readUInt16BE(end) };
}

export interface Reply {
  /** Of the header: response, recursion; truncated is 0x0200, the last four bits say what is wrong. */
  readonly flags?: number;
  readonly id?: number;
  readonly section?: Buffer;
  readonly count?: number;
  readonly records?: readonly Buffer[];
}

export function reply(question: Buffer, { flags = 0, id, section, count, records = [] }: Reply): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id ?? question.readUInt16BE(0));
  header.writeUInt16BE(0x8180 | flags, 2);
  header.writeUInt16BE(section?.length === 0 ? 0 : 1, 4);
  header.writeUInt16BE(count ?? records.length, 6);
  return Buffer.concat([header, section ?? asked(question).section, ...records]);
}

/** A record of the name that was asked for. */
export function record(type: number, data: readonly number[] | Buffer, length = data.length): Buffer {
  return Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, length >> 8, length & 0xff, ...data]);
}

export const a = (last: number): Buffer => record(typeA, [192, 168, 1, last]);
export const aaaa = record(typeAaaa, [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 7]);
export const name = (...labels: string[]): Buffer =>
  Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]),
    Buffer.alloc(1),
  ]);

/** Answers with what there is of the type that is asked for. */
export const zone =
  (records: Readonly<Record<number, readonly Buffer[]>>) =>
  (question: Buffer): Buffer[] => [reply(question, { records: records[asked(question).type] ?? [] })];

/** A server of messages over TCP. @param sent what it sends for a question, in pieces of that size, before it closes, if it does */
export function tcpServer(sent: (question: Buffer) => Buffer, { piece = 1e9, close = false } = {}): Server {
  return createServer((socket) => {
    socket.on('error', () => socket.destroy());
    let heard = Buffer.alloc(0);
    socket
      .on('data', (chunk: Buffer) => {
        heard = Buffer.concat([heard, chunk]);
        while (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) {
          const end = 2 + heard.readUInt16BE(0);
          const bytes = sent(heard.subarray(2, end));
          for (let at = 0; at < bytes.length; at += piece) socket.write(bytes.subarray(at, at + piece));
          if (close) socket.end();
          heard = heard.subarray(end);
        }
      })
      .setNoDelay();
  });
}

export function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);
}
