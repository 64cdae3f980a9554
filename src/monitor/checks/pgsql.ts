/**
 * Pgsql check: up when the query gives a row. As other clients do (sslmode=prefer), it takes TLS where the server has it, and believes
 * any certificate then.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Client, Query } from 'pg';
import type { CheckSettings } from '../../config/model.ts';
import type { Ask } from './ask.ts';
import { LibraryStream } from './library-stream.ts';
import { withSocket } from './open-socket.ts';
import type { Outcome } from './sql.ts';
import { judge, sqlCheck } from './sql.ts';
import { take } from './take.ts';
import { tlsError } from './tls.ts';

/** What is used of the package pg. */
interface Pg {
  readonly Client: typeof Client;
  readonly Query: typeof Query;
}

export const pgsqlCheck = (load: () => Promise<Pg>): Ask =>
  sqlCheck('pg', load, (library, query, settings, signal) =>
    withSocket(settings, signal, undefined, async (socket) => {
      const stream = new LibraryStream(await withTls(socket));
      return judge(await run(library, stream, query, settings));
    }),
  );

export const checkPgsql = pgsqlCheck(() => import('pg'));

/** The message SSLRequest (PostgreSQL documentation, chapter "Message Formats"). */
const tlsRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

async function withTls(plain: Socket): Promise<Socket> {
  plain.write(tlsRequest);
  const answer = (await take(plain, 1)).toString('latin1');
  // the library reads on: plain words, or the error of a server that has no time for us
  if (answer === 'N') return plain;
  if (answer === 'E') {
    plain.unshift(Buffer.from(answer));
    return plain;
  }
  if (answer !== 'S') throw new Error('no PostgreSQL: what it answers to SSLRequest is not S, N or an error');
  // whoever says more than the letter wants plain words taken for secured ones (CVE-2021-23222)
  if (plain.readableLength > 0) throw new Error('said more than S before TLS');
  const socket = connectTls({ socket: plain, rejectUnauthorized: false });
  socket.on('error', () => undefined);
  // the plain connection may end without a word to the other
  plain.on('close', () => socket.destroy());
  try {
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close').then(closed)]);
    return socket;
  } catch (error) {
    throw new Error(tlsError(error), { cause: error });
  }
}

function closed(): never {
  throw new Error('closed the connection');
}

async function run(
  { Client, Query }: Pg,
  stream: LibraryStream,
  text: string,
  { address, port, login, password, database }: CheckSettings,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    stream.on('error', reject).on('close', () => {
      reject(new Error('closed the connection'));
    });
    const client = new Client({
      stream: () => stream,
      // it is there already; and nothing is to be taken from the environment or from files instead
      ssl: false,
      host: address,
      port,
      user: login,
      password: () => password,
      ...(database === '' ? {} : { database }),
      application_name: 'directord',
    });
    let server = 'PostgreSQL';
    let rows = 0;
    client.connection.on('parameterStatus', (status: { parameterName?: string; parameterValue?: string }) => {
      if (status.parameterName === 'server_version') server = `PostgreSQL ${status.parameterValue ?? ''}`;
    });
    client.on('error', reject);
    const query = new Query(text)
      .on('error', reject)
      .on('row', () => (rows += 1))
      .on('end', ({ rowCount }) => {
        void client.end();
        resolve({ server, rows: Math.max(rows, rowCount ?? 0) });
      });
    client.connect((error: Error | null) => {
      if (error === null) client.query(query);
      else reject(error);
    });
  });
}
