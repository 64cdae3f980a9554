/**
 * Ldap and ldaps checks: bind, and look up one entry by its name; up when it is there and its name matches (RFC 4511).
 * What is said begins with ldirectord's own words for the step that failed.
 */
import type { Socket } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import type { Ask, Verdict } from './ask.ts';
import { answerLimitBytes, down, received, up } from './ask.ts';
import type { Element } from './ber.ts';
import { element, elements, firstElement, number, numberOf, tags } from './ber.ts';
import { errorText } from './error-text.ts';
import { resultText } from './ldap-result.ts';
import { withSocket } from './open-socket.ts';
import { tlsTo } from './tls.ts';

/** Protocol operations, by their tags (RFC 4511, section 4.2 and following). */
const operations = {
  bindRequest: 0x60,
  bindResponse: 0x61,
  unbindRequest: 0x42,
  searchRequest: 0x63,
  searchEntry: 0x64,
  searchDone: 0x65,
  searchReference: 0x73,
  extendedResponse: 0x78,
} as const;

/** Context-specific tags. */
const simplePassword = 0x80;
const present = 0x87;

export const checkLdap: Ask = async (settings, signal, parts) => {
  const tls = settings.service === 'ldaps' ? tlsTo(settings, parts) : undefined;
  let failure = 'Connection failed';
  try {
    return await withSocket(settings, signal, tls, async (socket) => {
      const directory = new Directory(socket);
      failure = 'Bind failed';
      const refusal = resultText(await directory.bind(settings));
      if (refusal !== 'success') return down(`${failure}: ${refusal}`);
      failure = 'No answer received';
      const { names, done } = await directory.search(baseOf(settings));
      directory.unbind();
      const [name] = names;
      if (name === undefined || names.length > 1) {
        const reason = resultText(done);
        return down(`${failure}: ${reason === 'success' ? `${names.length} entries` : reason}`);
      }
      return await judge(name, settings, signal, parts);
    });
  } catch (error) {
    signal.throwIfAborted();
    return down(`${failure}: ${errorText(error)}`);
  }
};

async function judge(name: string, ...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  if ((await received(settings, [name], signal, parts)) === undefined)
    return down(`Response mismatch: "${name}" does not match "${settings.receive?.text ?? ''}"`);
  // the root of a server's tree has no name
  return up(name === '' ? 'Success' : `Success: ${name}`);
}

/** The leading slash is the parser's. */
function baseOf({ request }: CheckSettings): string {
  return request.replace(/^\//, '');
}

/** One connection to an LDAP server: requests with their answers, one after the other. */
class Directory {
  readonly #socket: Socket;
  readonly #answers: AsyncIterator<Element, undefined>;
  #id = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#answers = messages(socket);
  }

  /** Anonymous, unless there are both a name and a password. @returns the LDAPResult */
  async bind({ login, password }: Pick<CheckSettings, 'login' | 'password'>): Promise<Element> {
    const [name, secret] = login === '' || password === '' ? ['', ''] : [login, password];
    const version = number(tags.integer, 3);
    this.#send(operations.bindRequest, version, element(tags.octets, name), element(simplePassword, secret));
    const answer = await this.#answer();
    if (answer.tag !== operations.bindResponse) throw new Error('answered something else');
    return answer;
  }

  /** @returns the names of the entries, and the LDAPResult */
  async search(base: string): Promise<{ readonly names: readonly string[]; readonly done: Element }> {
    this.#send(
      operations.searchRequest,
      element(tags.octets, base),
      // scope: the base itself; aliases: followed to find it; no limit of entries or seconds; not only the types
      number(tags.enumerated, 0),
      number(tags.enumerated, 2),
      number(tags.integer, 0),
      number(tags.integer, 0),
      number(tags.boolean, 0),
      element(present, 'objectClass'),
      element(tags.sequence),
    );
    const names: string[] = [];
    for (;;) {
      const answer = await this.#answer();
      if (answer.tag === operations.searchDone) return { names, done: answer };
      if (answer.tag === operations.searchEntry) names.push(nameOf(answer));
      else if (answer.tag !== operations.searchReference) throw new Error('answered something else');
    }
  }

  unbind(): void {
    this.#send(operations.unbindRequest);
  }

  #send(operation: number, ...contents: readonly Buffer[]): void {
    this.#id += 1;
    const id = number(tags.integer, this.#id);
    this.#socket.write(element(tags.sequence, id, element(operation, ...contents)));
  }

  /** The operation in the next message. @throws when it is not an answer to the last request */
  async #answer(): Promise<Element> {
    const { value: message } = await this.#answers.next();
    if (message === undefined) throw new Error('closed the connection');
    const [id, operation] = message.tag === tags.sequence ? elements(message) : [];
    if (id === undefined || operation === undefined) throw new Error('no LDAP: not a message');
    const about = numberOf(id);
    // the server's last words (RFC 4511, section 4.4.1)
    if (about === 0 && operation.tag === operations.extendedResponse) throw new Error(resultText(operation));
    if (about !== this.#id) throw new Error(`answered message ${about} instead of ${this.#id}`);
    return operation;
  }
}

function nameOf(entry: Element): string {
  const [name] = elements(entry);
  if (name?.tag !== tags.octets) throw new Error('no LDAP: an entry without a name');
  return name.contents.toString('utf8');
}

/** The messages of a connection; ends where the server closes it. */
async function* messages(socket: Socket): AsyncGenerator<Element, undefined> {
  let rest = Buffer.alloc(0);
  let heard = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    heard += chunk.length;
    if (heard > answerLimitBytes) throw new Error(`more than ${answerLimitBytes} bytes of answer`);
    rest = Buffer.concat([rest, chunk]);
    let next = firstElement(rest, answerLimitBytes);
    while (next !== undefined) {
      rest = rest.subarray(next.size);
      yield next.element;
      next = firstElement(rest, answerLimitBytes);
    }
  }
  return undefined;
}
