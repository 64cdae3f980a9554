/** What the checks of POP3 and IMAP servers share: the connection, and the manners. */
import type { CheckSettings } from '../../config/model.ts';
import type { CheckerParts, Verdict } from './ask.ts';
import { Conversation } from './conversation.ts';
import { withSocket } from './open-socket.ts';
import { tlsTo } from './tls.ts';

/** Talks to the server, over TLS if `secure`. */
export function withMailbox(
  settings: CheckSettings,
  signal: AbortSignal,
  parts: CheckerParts,
  secure: boolean,
  talk: (conversation: Conversation) => Promise<Verdict>,
): Promise<Verdict> {
  const tls = secure ? tlsTo(settings, parts) : undefined;
  return withSocket(settings, signal, tls, (socket) => talk(new Conversation(socket)));
}

/** Waits for the answer to a farewell. What it is, or that there is none before the deadline, says nothing of a server that has let us in. */
export async function parted(answer: Promise<unknown>): Promise<void> {
  await answer.catch(() => undefined);
}
