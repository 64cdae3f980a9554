/**
 * Mysql check, for MySQL and MariaDB: up when the query gives a row. As mysql does (--ssl-mode=PREFERRED), it takes TLS where the server
 * has it, and believes any certificate then.
 */
import type { Socket } from 'node:net';
import type { createConnection } from 'mysql2';
import type { CheckSettings } from '../../config/model.ts';
import type { Ask } from './ask.ts';
import { LibraryStream } from './library-stream.ts';
import type { Greeting } from './mysql-greeting.ts';
import { takeGreeting } from './mysql-greeting.ts';
import { withSocket } from './open-socket.ts';
import type { Outcome } from './sql.ts';
import { judge, sqlCheck } from './sql.ts';

/** What is used of the package mysql2. */
interface Mysql {
  readonly createConnection: typeof createConnection;
}

export const mysqlCheck = (load: () => Promise<Mysql>): Ask =>
  sqlCheck('mysql2', load, (library, query, settings, signal) =>
    withSocket(settings, signal, undefined, async (socket) => {
      const greeting = await takeGreeting(socket);
      return judge(await run(library, socket, greeting, query, settings));
    }),
  );

export const checkMysql = mysqlCheck(() => import('mysql2'));

/** One object, because the library keeps a TLS context for each. */
const anyCertificate = { rejectUnauthorized: false };

async function run(
  { createConnection }: Mysql,
  socket: Socket,
  { server, tls }: Greeting,
  sql: string,
  { address, port, login, password, database }: CheckSettings,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const stream = new LibraryStream(socket);
    stream.on('error', reject).on('close', () => {
      reject(new Error('closed the connection'));
    });
    const connection = createConnection({
      stream,
      host: address,
      port,
      user: login,
      password,
      ...(database === '' ? {} : { database }),
      ...(tls ? { ssl: anyCertificate } : {}),
      // the deadline is the check's
      connectTimeout: 0,
      // no files for a server that asks for some, no code made of what a server says
      flags: ['-LOCAL_FILES'],
      disableEval: true,
    });
    connection.on('error', reject);
    let rows = 0;
    connection
      .query({ sql, rowsAsArray: true, typeCast: false })
      .on('error', reject)
      // of what is no SELECT comes a header
      .on('result', (row: unknown[] | { affectedRows?: number }) => {
        rows += Array.isArray(row) ? 1 : (row.affectedRows ?? 0);
      })
      .on('end', () => {
        connection.end(() => undefined);
        resolve({ server, rows });
      });
  });
}
