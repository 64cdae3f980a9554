/** Gives a message to a mail server (RFC 5321), encrypted if it can be, as mail servers do it among themselves. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';

export interface Envelope {
  readonly from: string;
  readonly to: readonly string[];
}

const port = 25;

/**
 * @param host whose mail server it is
 * @param name this host's, which the server is greeted with
 * @throws with the server's words, or why it cannot be reached; when `signal` aborts the connection is closed
 */
export async function sendBySmtp(
  host: string,
  name: string,
  envelope: Envelope,
  message: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await attempt(host, name, envelope, message, true, signal);
  } catch (error) {
    // A relay whose encryption does not work took plain mail from ldirectord.
    if ((error as NodeJS.ErrnoException).code !== 'ETLS' || signal.aborted) throw error;
    await attempt(host, name, envelope, message, false, signal);
  }
}

async function attempt(
  host: string,
  name: string,
  { from, to }: Envelope,
  raw: string,
  tls: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { createTransport } = await import('nodemailer');
  // Ours, so that the system's resolver is asked, /etc/hosts included, and an end can be put to it.
  const socket = await connected(host, signal);
  const end = (): void => {
    socket.destroy();
  };
  signal.addEventListener('abort', end);
  const transport = createTransport({
    connection: socket,
    host,
    port,
    name,
    secure: false,
    ignoreTLS: !tls,
    // No secret is in these mails, and a relay's certificate is often nobody's.
    tls: { rejectUnauthorized: false, servername: host },
  });
  try {
    const { rejected } = await transport.sendMail({ envelope: { from, to: [...to] }, raw });
    if (rejected.length > 0)
      throw new Error(`${host} does not take mail for ${rejected.map(String).join(', ')}`);
  } finally {
    signal.removeEventListener('abort', end);
    transport.close();
    socket.destroy();
  }
}

async function connected(host: string, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
