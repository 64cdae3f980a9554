/**
 * Ftp check: log in, fetch the file that `request` names, and be up when it matches (RFC 959). Without `request` and `receive` there is
 * none to fetch, and the server may say so.
 */
import type { Socket } from 'node:net';
import type { CheckSettings } from '../../config/model.ts';
import type { Ask, CheckerParts, Verdict } from './ask.ts';
import { answerLimitBytes, down, received, up } from './ask.ts';
import { Conversation } from './conversation.ts';
import type { Command } from './ftp-data.ts';
import { withActiveData, withPassiveData } from './ftp-data.ts';
import { withSocket } from './open-socket.ts';
import type { Reply } from './reply.ts';
import { readReply } from './reply.ts';

export const checkFtp: Ask = (settings, signal, parts) =>
  withSocket(settings, signal, undefined, async (control) => {
    const conversation = new Conversation(control);
    const command: Command = (line) => {
      conversation.say(line);
      return readReply(conversation);
    };
    const verdict = await talk({ control, conversation, command }, settings, signal, parts);
    conversation.say('QUIT');
    return verdict;
  });

interface Session {
  readonly control: Socket;
  readonly conversation: Conversation;
  readonly command: Command;
}

async function talk(session: Session, ...[settings, signal, parts]: Parameters<Ask>): Promise<Verdict> {
  const { control, command } = session;
  const greeting = await greeted(session);
  if (greeting.kind !== 2) return down(greeting.text);
  const login = await logIn(settings, command);
  if (login.kind !== 2) return down(`login failed: ${login.text}`);
  // whatever the server thinks of these two, it is the file that counts
  await command('CWD /');
  await command('TYPE I');
  const fetched = (data: () => Promise<Socket>): Promise<Verdict> =>
    fetchFile(session, data, settings, signal, parts);
  return parts.ftpPassive
    ? withPassiveData(settings, signal, command, fetched)
    : withActiveData(control, signal, command, fetched);
}

/** A server may say first that it will soon be ready: 120. */
async function greeted({ conversation }: Session): Promise<Reply> {
  const reply = await readReply(conversation);
  return reply.kind === 1 ? readReply(conversation) : reply;
}

async function logIn({ login, password }: CheckSettings, command: Command): Promise<Reply> {
  const reply = await command(`USER ${login === '' ? 'anonymous' : login}`);
  return reply.code === 331 ? command(`PASS ${password}`) : reply;
}

async function fetchFile(
  { command, conversation }: Session,
  data: () => Promise<Socket>,
  settings: CheckSettings,
  signal: AbortSignal,
  parts: CheckerParts,
): Promise<Verdict> {
  const { request, receive } = settings;
  const begun = await command(`RETR ${request}`);
  if (begun.kind > 2) {
    const nothingAsked = request === '/' && receive === undefined;
    return nothingAsked ? up(`logged in; ${begun.text}`) : down(`RETR ${request}: ${begun.text}`);
  }
  const { text, whole } = await contents(await data());
  // small files may be there before anything is said about them; of one that is not read to its end nothing good will be said
  const done = begun.kind === 1 && whole ? await readReply(conversation) : begun;
  if (done.kind > 2) return down(`RETR ${request}: ${done.text}`);
  if ((await received(settings, [text], signal, parts)) !== undefined) return up(done.text);
  return down(`${done.text}, but the file does not match "${receive?.text ?? ''}"`);
}

async function contents(data: Socket): Promise<{ text: string; whole: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of data as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= answerLimitBytes) break;
  }
  return { text: Buffer.concat(chunks).toString('utf8'), whole: length < answerLimitBytes };
}
