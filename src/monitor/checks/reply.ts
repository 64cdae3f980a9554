/** Replies as mail and file servers give them: three digits and a text, on one line or several (RFC 5321, 4.2; RFC 959, 4.2). */
import type { Conversation } from './conversation.ts';

export interface Reply {
  /** 1 to 5: preliminary, done, go on, not now, never. */
  readonly kind: number;
  readonly code: number;
  /** Its first line, for people: `220 mx ESMTP Postfix`. */
  readonly text: string;
}

/** @throws when the server says something else, or closes before it has said everything */
export async function readReply(conversation: Conversation): Promise<Reply> {
  const first = await conversation.line();
  const [, digits, more] = /^([1-5]\d\d)([ -]|$)/.exec(first) ?? [];
  if (digits === undefined) throw new Error(`no reply, but "${shortened(first)}"`);
  const code = Number(digits);
  // between the first line and the last a file server may say what it likes
  if (more === '-') while (!isLast(await conversation.line(), digits));
  return { kind: Math.floor(code / 100), code, text: shortened(first.replace('-', ' ')) };
}

function isLast(line: string, digits: string): boolean {
  return line === digits || line.startsWith(`${digits} `);
}

function shortened(line: string): string {
  return line.length > textLimit ? `${line.slice(0, textLimit)}...` : line;
}

/** Characters of a line that anybody reads. */
const textLimit = 200;
