/**
 * POP3 check (RFC 1939): up when the server greets and, with a `login`, lets it in. The password goes as ldirectord sends it: as a digest
 * where the server offers one (APOP; CRAM-MD5, RFC 5034), and in clear where that does not get in.
 */
import { createHash, createHmac } from 'node:crypto';
import type { CheckSettings } from '../../config/model.ts';
import type { Ask, Verdict } from './ask.ts';
import { down, up } from './ask.ts';
import type { Conversation } from './conversation.ts';
import { parted, withMailbox } from './mailbox.ts';

export const checkPop: Ask = (settings, signal, parts) =>
  withMailbox(settings, signal, parts, settings.service === 'pops', async (conversation) => {
    const greeting = await conversation.line();
    if (greeting.startsWith('-ERR')) return down(greeting);
    if (!positive(greeting)) return down(`unexpected greeting "${greeting}"`);
    const verdict = settings.login === '' ? up(greeting) : await visit(conversation, settings, greeting);
    await parted(ask(conversation, 'QUIT'));
    return verdict;
  });

async function visit(
  conversation: Conversation,
  settings: CheckSettings,
  greeting: string,
): Promise<Verdict> {
  const answer = await logIn(conversation, settings, greeting);
  if (!positive(answer)) return down(`authentication failed: ${answer}`);
  const count = await ask(conversation, 'STAT');
  return positive(count) ? up(answer) : down(`mailbox cannot be read: ${count}`);
}

/** @returns what the server says to the last attempt */
async function logIn(
  conversation: Conversation,
  { login, password }: CheckSettings,
  greeting: string,
): Promise<string> {
  const timestamp = /<[^<>\s@]+@[^<>\s@]+>/.exec(greeting)?.[0];
  if (timestamp !== undefined) {
    const digest = createHash('md5').update(`${timestamp}${password}`).digest('hex');
    const answer = await ask(conversation, `APOP ${login} ${digest}`);
    if (positive(answer)) return answer;
  }
  const offers = await capabilities(conversation);
  if (offers.some((offer) => /^SASL\b.*\sCRAM-MD5\b/i.test(offer))) {
    const answer = await answerChallenge(conversation, login, password);
    if (positive(answer)) return answer;
  }
  const answer = await ask(conversation, `USER ${login}`);
  return positive(answer) ? ask(conversation, `PASS ${password}`) : answer;
}

async function answerChallenge(conversation: Conversation, login: string, password: string): Promise<string> {
  const answer = await ask(conversation, 'AUTH CRAM-MD5');
  if (!answer.startsWith('+ ')) return answer;
  const challenge = Buffer.from(answer.slice(2), 'base64');
  const digest = createHmac('md5', password).update(challenge).digest('hex');
  return ask(conversation, Buffer.from(`${login} ${digest}`).toString('base64'));
}

/** RFC 2449, section 5; none from a server that does not know the question. */
async function capabilities(conversation: Conversation): Promise<readonly string[]> {
  if (!positive(await ask(conversation, 'CAPA'))) return [];
  const offers: string[] = [];
  for (let line = await conversation.line(); line !== '.'; line = await conversation.line())
    offers.push(line);
  return offers;
}

function ask(conversation: Conversation, command: string): Promise<string> {
  conversation.say(command);
  return conversation.line();
}

const positive = (answer: string): boolean => /^\+OK\b/i.test(answer);
