/** Gives a message to this host's own mailer: the program `sendmail`, which every mailer for Linux brings along. */
import { execFile } from 'node:child_process';

const program = 'sendmail';
/** It is not in the PATH of everybody. */
const folders = '/usr/sbin:/usr/lib:/sbin';

/** @throws when it is not installed, refuses, or `signal` aborts, which kills it */
export function sendByMailer(to: readonly string[], message: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, PATH: `${process.env['PATH'] ?? '/usr/bin:/bin'}:${folders}` };
    // -i: a line with nothing but a dot is no end.
    const child = execFile(
      program,
      ['-i', '--', ...to],
      { env, signal, killSignal: 'SIGKILL' },
      (error, _, stderr) => {
        if (error === null) resolve();
        else reject(new Error(whyNot(error, stderr)));
      },
    );
    // One that ends before it has read everything says why on its standard error.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(message.replaceAll('\r\n', '\n'));
  });
}

function whyNot(error: Error & { code?: unknown; signal?: unknown }, stderr: string): string {
  if (error.code === 'ENOENT')
    return `there is no ${program} program here: install a mailer, or name a mail server with smtp=`;
  const how = typeof error.code === 'number' ? `exit status ${error.code}` : error.message;
  const said = stderr.trim();
  return said === '' ? `${program}: ${how}` : `${program}: ${how}: ${said}`;
}
