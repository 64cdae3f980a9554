/** Smtp and submission checks: up when the server greets us and takes our greeting (RFC 5321, sections 3.1 and 3.2). */
import type { Ask } from './ask.ts';
import { down, up } from './ask.ts';
import { Conversation } from './conversation.ts';
import { withSocket } from './open-socket.ts';
import type { Reply } from './reply.ts';
import { readReply } from './reply.ts';

const ourName = 'localhost.localdomain';

export const checkSmtp: Ask = (settings, signal) =>
  withSocket(settings, signal, undefined, async (socket) => {
    const conversation = new Conversation(socket);
    const greeting = await readReply(conversation);
    if (greeting.code !== 220) return down(greeting.text);
    const { code, text } = await introduce(conversation);
    conversation.say('QUIT');
    return code === 250 ? up(greeting.text) : down(`refused our greeting: ${text}`);
  });

/** A server that does not know EHLO may know HELO. */
async function introduce(conversation: Conversation): Promise<Reply> {
  conversation.say(`EHLO ${ourName}`);
  const extended = await readReply(conversation);
  if (extended.kind !== 5) return extended;
  conversation.say(`HELO ${ourName}`);
  return readReply(conversation);
}
