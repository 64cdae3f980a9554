/**
 * Dns check: up when the server knows an address of the name in `request`, or the name of the address in it, that `receive` is content
 * with. Over TCP when the virtual service is, or when the answer is too long for a datagram.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { canonicalAddress } from '../../util/ip.ts';
import type { Ask, Verdict } from './ask.ts';
import { down, received, up } from './ask.ts';
import { withDatagrams } from './datagram.ts';
import type { DnsAnswer, DnsQuestion } from './dns-message.ts';
import { decodeAnswer, encodeQuestion, reverseName } from './dns-message.ts';
import { withSocket } from './open-socket.ts';
import { searchList, searchedNames } from './search-list.ts';

type Resolve = (question: DnsQuestion) => Promise<DnsAnswer>;

class Truncated extends Error {
  override readonly name = 'Truncated';
}

export const checkDns: Ask = async (settings, signal, parts) => {
  const overTcp = (): Promise<Verdict> =>
    withSocket(settings, signal, undefined, (socket) =>
      lookUp(resolverOverTcp(socket), settings, signal, parts),
    );
  if (settings.protocol === 'tcp') return overTcp();
  try {
    return await withDatagrams(settings, signal, parts, (datagrams) => {
      const resolve: Resolve = async (asked) => {
        const question = encodeQuestion(randomId(), asked);
        const answer = await datagrams.ask(question, (datagram) => decodeAnswer(datagram, question));
        if (answer.truncated) throw new Truncated();
        return answer;
      };
      return lookUp(resolve, settings, signal, parts);
    });
  } catch (error) {
    if (error instanceof Truncated) return overTcp();
    throw error;
  }
};

async function lookUp(resolve: Resolve, ...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  const request = settings.request.replace(/^\//, '');
  const { receive } = settings;
  let failure = '';
  for (const questions of await questionsFor(request)) {
    const found: string[] = [];
    for (const question of questions) {
      const { status, records } = await resolve(question);
      const what = question.name === '' ? 'the root' : question.name;
      failure = status === 'NOERROR' ? `no ${question.type} record of ${what}` : `${status} for ${what}`;
      if (status !== 'NOERROR') break;
      found.push(...records);
      if (records.length > 0 && (await received(settings, records, signal, parts)) !== undefined)
        return up(listed(records));
      // the root has no address: asked for nothing, to be content with anything, a server need but answer
      if (request === '' && receive === undefined) return up('answers');
    }
    if (found.length > 0) return down(`${listed(found)} does not match "${receive?.text ?? ''}"`);
  }
  return down(failure);
}

/** Names in the order in which they are tried, each with the questions that it takes. */
async function questionsFor(request: string): Promise<readonly (readonly DnsQuestion[])[]> {
  const address = canonicalAddress(request);
  if (address !== undefined) return [[{ name: reverseName(address), type: 'PTR' }]];
  const resolvConf = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return searchedNames(request, searchList(resolvConf, hostname())).map((name) => [
    { name, type: 'A' },
    { name, type: 'AAAA' },
  ]);
}

function resolverOverTcp(socket: Socket): Resolve {
  const messages = messagesOf(socket);
  return async (asked) => {
    const question = encodeQuestion(randomId(), asked);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    socket.write(Buffer.concat([length, question]));
    const { value } = await messages.next();
    return decodeAnswer(value, question);
  };
}

/** Over TCP every message comes after two bytes of its length. */
async function* messagesOf(socket: Socket): AsyncGenerator<Buffer, never> {
  let heard = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    heard = Buffer.concat([heard, chunk]);
    while (heard.length >= 2 && heard.length >= 2 + heard.readUInt16BE(0)) {
      const end = 2 + heard.readUInt16BE(0);
      yield heard.subarray(2, end);
      heard = heard.subarray(end);
    }
  }
  throw new Error(
    `closed the connection ${heard.length === 0 ? 'without an answer' : 'in the middle of its answer'}`,
  );
}

const randomId = (): number => randomInt(0x10000);

const listedRecords = 8;

function listed(records: readonly string[]): string {
  const more = records.length - listedRecords;
  return records.slice(0, listedRecords).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
