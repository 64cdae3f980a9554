/**
 * IMAP check (RFC 3501): up when the server greets and, with a `login`, lets it in. ldirectord says EXPUNGE before LOGOUT, by accident of its
 * library; a check that removes mail is none, and its answer means nothing before a mailbox is selected.
 */
import type { Ask, Verdict } from './ask.ts';
import { down, up } from './ask.ts';
import type { CheckSettings } from '../../config/model.ts';
import type { Conversation } from './conversation.ts';
import { parted, withMailbox } from './mailbox.ts';

export const checkImap: Ask = (settings, signal, parts) =>
  withMailbox(settings, signal, parts, settings.service === 'imaps', async (conversation) => {
    const line = await conversation.line();
    const greeting = words(line.replace(/^\*\s+/, ''));
    if (/^\*\s+BYE\b/i.test(line)) return down(greeting);
    if (!/^\*\s+(OK|PREAUTH)\b/i.test(line)) return down(`unexpected greeting "${line}"`);
    // whom the server already knows must not log in
    const anonymous = settings.login === '' || /^PREAUTH\b/i.test(greeting);
    const verdict = anonymous ? up(greeting) : await logIn(conversation, settings, line);
    await parted(ask(conversation, '1', 'LOGOUT'));
    return verdict;
  });

async function logIn(
  conversation: Conversation,
  { login, password }: CheckSettings,
  greeting: string,
): Promise<Verdict> {
  // section 6.2.3: not to be tried then, and the password would have gone out in clear
  if (/^[^\]]*\[CAPABILITY [^\]]*\bLOGINDISABLED\b/i.test(greeting))
    return down('authentication failed: no login without TLS (LOGINDISABLED)');
  const name = /^[\w!#$&'+,./:;<=>?@^`|}~\]-]+$/.test(login) ? login : string(login);
  const answer = await ask(conversation, '0', `LOGIN ${name} ${string(password)}`);
  return /^OK\b/i.test(answer) ? up(words(answer)) : down(`authentication failed: ${words(answer)}`);
}

/**
 * Says a command, literals when the server is ready for them.
 * @returns the tagged answer without its tag, or whatever else ends the matter, such as a BYE
 */
async function ask(conversation: Conversation, tag: string, command: string): Promise<string> {
  const [first = '', ...literals] = command.split('\r\n');
  conversation.say(`${tag} ${first}`);
  for (const literal of literals) {
    const answer = await answerTo(conversation, tag);
    if (!answer.startsWith('+')) return answer;
    conversation.say(literal);
  }
  return answerTo(conversation, tag);
}

async function answerTo(conversation: Conversation, tag: string): Promise<string> {
  for (;;) {
    const line = await conversation.line();
    const untagged = /^\*\s+(.*)$/.exec(line)?.[1];
    if (untagged === undefined) return line.startsWith(`${tag} `) ? line.slice(tag.length + 1) : line;
    if (/^BYE\b/i.test(untagged)) return untagged;
  }
}

/** A string of section 4.3: quoted, or as a literal what quotes cannot hold. */
function string(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `"${text.replace(/["\\]/g, '\\$&')}"`;
  return `{${Buffer.byteLength(text)}}\r\n${text}`;
}

/** What is for people: a list of capabilities is not. */
const words = (answer: string): string => answer.replace(/ ?\[CAPABILITY [^\]]*\]/i, '').trim();
