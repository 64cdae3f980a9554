/**
 * Composes the mail about a change: what ldirectord writes, as a message that any mailer takes (RFC 5322). Whatever stands in a
 * configuration stays in its header or line: control characters would begin another one, or end the message.
 */
import { randomUUID } from 'node:crypto';
import { oneLine } from '../util/one-line.ts';

export interface MailFacts {
  /** `Deleted real server: ...`. */
  readonly text: string;
  /** `running` */
  readonly status: string;
  /** As configured: addresses with commas between, each with or without a name. */
  readonly to: string;
  readonly servicename: string | undefined;
  readonly comment: string | undefined;
}

export interface Sender {
  readonly host: string;
  readonly user: string;
  /** `emailalertfrom`; undefined: the user at the host. */
  readonly from: string | undefined;
}

export interface Mail {
  /** Addresses alone. */
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** Headers and body; ASCII, lines end in CRLF. */
  readonly message: string;
}

/** Longer lines of ASCII are sent encoded; a server may refuse those of more than 998 bytes. */
const longestLine = 900;

/** @throws when `to` names nobody */
export async function composeMail(facts: MailFacts, { host, user, from }: Sender, now: Date): Promise<Mail> {
  // Loaded with the first mail.
  const { default: parseAddresses } = await import('nodemailer/lib/addressparser');
  const { encodeWords, quoteString, foldLines } = await import('nodemailer/lib/mime-funcs');
  const own = `${user}@${host}`;

  const words = (text: string): string => (isAscii(text) ? text : encodeWords(text, 'Q', 52, true));
  const mailboxes = (text: string): readonly Mailbox[] =>
    apart(oneLine(text))
      .flatMap((part) => parseAddresses(part, { flatten: true }))
      .flatMap((found) => {
        // `root` is read as a name without an address.
        const address = found.address === '' ? found.name : found.address;
        if (address === '' || /[\s<>]/.test(address)) return [];
        if (found.address === '' || found.name === '') return [{ address, written: address }];
        const name = isAscii(found.name) ? quoteString(found.name) : words(found.name);
        return [{ address, written: `${name} <${address}>` }];
      });

  const recipients = mailboxes(facts.to);
  if (recipients.length === 0) throw new Error(`emailalert=${oneLine(facts.to)} is no address`);
  const service = oneLine(facts.servicename ?? '');
  const subject = `${service === '' ? '' : `[${service}] `}${oneLine(facts.text)}`;
  const headers: readonly (readonly [string, string])[] = [
    ['From', (from === undefined ? undefined : mailboxes(from)[0]?.written) ?? own],
    ['To', recipients.map(({ written }) => written).join(', ')],
    ['Subject', words(subject)],
    ['Date', now.toUTCString().replace('GMT', '+0000')],
    ['Message-ID', `<${randomUUID()}@${host}>`],
    // Nobody's holiday greeting is wanted (RFC 3834).
    ['Auto-Submitted', 'auto-generated'],
    ['MIME-Version', '1.0'],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ];
  const details = [
    ...(service === '' ? [] : [`Service name: ${service}`]),
    ...(facts.comment ? [`Comment: ${oneLine(facts.comment)}`] : []),
  ];
  const lines = [
    `ldirectord host: ${host}`,
    `Log-Message: ${subject}`,
    `Daemon-Status: ${facts.status}`,
    ...(details.length === 0 ? [] : ['', ...details]),
    '',
  ];
  const { encoding, body } = encodedBody(lines);
  const head = [...headers, ['Content-Transfer-Encoding', encoding] as const].map(([name, value]) =>
    foldLines(`${name}: ${value}`, 76),
  );
  return {
    envelope: { from: own, to: recipients.map(({ address }) => address) },
    message: [...head, '', body].join('\r\n'),
  };
}

interface Mailbox {
  readonly address: string;
  /** With its name, if it has one. */
  readonly written: string;
}

/** At commas that are not in quotes. */
function apart(list: string): readonly string[] {
  return list.match(/(?:"(?:[^"\\]|\\.)*"|[^,])+/g) ?? [];
}

function encodedBody(lines: readonly string[]): { readonly encoding: string; readonly body: string } {
  const body = lines.join('\r\n');
  if (isAscii(body) && lines.every((line) => line.length <= longestLine)) return { encoding: '7bit', body };
  const base64 = Buffer.from(body).toString('base64');
  return { encoding: 'base64', body: `${base64.replace(/.{76}/g, '$&\r\n')}\r\n` };
}

function isAscii(text: string): boolean {
  return /^[\r\n -~]*$/.test(text);
}
