/** Sends the mails that the monitor wants: by `smtp=`, else by this host's mailer. Failures are a line in the log. */
import { hostname, userInfo } from 'node:os';
import type { Alert } from '../monitor/alerts.ts';
import { composeMail } from '../observe/mail.ts';
import { Outbox } from '../observe/outbox.ts';
import { sendByMailer } from '../platform/sendmail.ts';
import { sendBySmtp } from '../platform/smtp-client.ts';
import { systemClock } from '../util/clock.ts';

export interface AlertMailParts {
  /** `emailalertfrom` of the present configuration. */
  from(): string | undefined;
  log(message: string): void;
}

interface DueMail extends Alert {
  readonly from: string | undefined;
  readonly at: Date;
}

/** Milliseconds that a daemon which stops leaves them. */
const lastPatience = 5000;

export class AlertMails {
  readonly #parts: AlertMailParts;
  readonly #outbox: Outbox<DueMail>;

  constructor(parts: AlertMailParts) {
    this.#parts = parts;
    this.#outbox = new Outbox({
      clock: systemClock,
      send,
      failed: ({ email }, reason) => {
        const how = email.smtp === undefined ? '' : 'SMTP ';
        parts.log(`failed to send ${how}email message: ${reason}`);
      },
      log: (message) => {
        parts.log(message);
      },
    });
  }

  add(alert: Alert): void {
    this.#outbox.add({ ...alert, from: this.#parts.from(), at: new Date() });
  }

  /** Resolves when all are sent, or have had their time. */
  close(): Promise<void> {
    return this.#outbox.close(lastPatience);
  }
}

async function send({ email, from, at, ...alert }: DueMail, signal: AbortSignal): Promise<void> {
  const host = hostname();
  const facts = { ...alert, status: alert.state, to: email.to };
  const { envelope, message } = await composeMail(facts, { host, user: userName(), from }, at);
  if (email.smtp === undefined) await sendByMailer(envelope.to, message, signal);
  else await sendBySmtp(email.smtp, host, envelope, message, signal);
}

/** In a container there may be no name for the number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid${process.getuid?.() ?? 0}`;
  }
}
