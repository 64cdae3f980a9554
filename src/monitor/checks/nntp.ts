/** News check: up when the server greets with a 2 (RFC 3977, section 5.1). Nothing is said to it. */
import type { Ask } from './ask.ts';
import { down, up } from './ask.ts';
import { Conversation } from './conversation.ts';
import { withSocket } from './open-socket.ts';

export const checkNntp: Ask = (settings, signal) =>
  withSocket(settings, signal, undefined, async (socket) => {
    const greeting = await new Conversation(socket).line();
    if (!/^\d{3}\b/.test(greeting)) return down(`unexpected greeting "${greeting}"`);
    return greeting.startsWith('2') ? up(greeting) : down(greeting);
  });
