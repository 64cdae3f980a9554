/** A real MariaDB server with one table. */
import { which } from '../lab/paths.ts';
import { selfSign } from './certificates.ts';
import type { Place } from './place.ts';

/** Lines of a section that may log in. */
export const login = ['login="check"', 'passwd="secret"', 'database="shop"'];

export async function mariadbVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([which('mariadbd') ?? '', '--no-defaults', '--version']);
  return `MariaDB ${/Ver ([\d.]+)/.exec(stdout)?.[1] ?? '?'}`;
}

export interface Mariadb {
  readonly port: number;
  /** All that it logged. */
  readonly log: () => string;
}

/** @param tls with a certificate that it signed itself, and for nobody without TLS */
export async function startMariadb(place: Place, { tls = false } = {}): Promise<Mariadb> {
  const port = await place.freePort();
  const own = `${place.directory}/mysql`;
  await place.run(['install', '-d', '-o', 'mysql', own]);
  const common = ['--no-defaults', `--datadir=${own}/data`, '--user=mysql'];
  const installed = await place.run([
    which('mariadb-install-db') ?? '',
    ...common,
    '--skip-test-db',
    '--auth-root-authentication-method=normal',
  ]);
  if (installed.code !== 0) throw new Error(installed.stdout + installed.stderr);
  const setup = place.write(
    'setup.sql',
    `CREATE DATABASE shop;
CREATE TABLE shop.state (enabled INT);
INSERT INTO shop.state VALUES (1);
CREATE USER 'check'@'%' IDENTIFIED BY 'secret';
GRANT SELECT ON shop.* TO 'check'@'%';
`,
  );
  const server = await place.serve(
    [
      which('mariadbd') ?? '',
      ...common,
      `--port=${port}`,
      '--bind-address=*',
      `--socket=${own}/socket`,
      `--pid-file=${own}/pid`,
      `--init-file=${setup}`,
      '--skip-name-resolve',
      '--log-warnings=4',
      '--innodb-buffer-pool-size=16M',
      ...(tls ? await tlsOptions(place) : []),
    ],
    port,
  );
  return { port, log: () => server.stderr };
}

async function tlsOptions(place: Place): Promise<readonly string[]> {
  const { certificate, key } = await selfSign(place, ['127.0.0.1']);
  return [`--ssl-cert=${certificate}`, `--ssl-key=${key}`, '--require-secure-transport=ON'];
}
