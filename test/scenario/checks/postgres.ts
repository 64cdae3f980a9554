/** A real PostgreSQL server with one table. */
import { existsSync, readdirSync } from 'node:fs';
import { which } from '../lab/paths.ts';
import { selfSign } from './certificates.ts';
import type { Place } from './place.ts';

/** Lines of a section that may log in. */
export const login = ['login="check"', 'passwd="secret"', 'database="shop"'];

export async function postgresVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([program('postgres'), '--version']);
  return `PostgreSQL ${/[\d.]+/.exec(stdout)?.[0] ?? '?'}`;
}

export interface Postgres {
  readonly port: number;
  /** All that it logged. */
  readonly log: () => string;
}

/** @param tls with a certificate that it signed itself, and for nobody without TLS */
export async function startPostgres(place: Place, { tls = false } = {}): Promise<Postgres> {
  const port = await place.freePort();
  const data = `${place.directory}/data`;
  const asPostgres = [which('runuser') ?? '', '-u', 'postgres', '--'];
  const done = async (argv: readonly string[], input = ''): Promise<void> => {
    const { code, stdout, stderr } = await place.run(argv, input);
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stdout}${stderr}`);
  };
  await done(['install', '-d', '-o', 'postgres', '-m', '700', data]);
  await done([...asPostgres, program('initdb'), '-D', data, '--no-sync', '--auth-host=scram-sha-256']);
  const single = [...asPostgres, program('postgres'), '--single', '-D', data];
  await done(
    [...single, 'postgres'],
    'CREATE ROLE "check" LOGIN PASSWORD \'secret\'\nCREATE DATABASE shop\n',
  );
  await done(
    [...single, 'shop'],
    'CREATE TABLE state (enabled int)\nINSERT INTO state VALUES (1)\nGRANT SELECT ON state TO "check"\n',
  );
  const options = [
    'listen_addresses=127.0.0.1,::1',
    `unix_socket_directories=${data}`,
    'fsync=off',
    'log_disconnections=on',
    ...(tls ? await tlsOptions(place, data) : []),
  ];
  const server = await place.serve(
    [...asPostgres, program('postgres'), '-D', data, '-p', `${port}`, ...options.flatMap((o) => ['-c', o])],
    port,
  );
  // the port is open a moment before the server is ready
  await done([...asPostgres, program('pg_isready'), '-q', '-h', data, '-p', `${port}`, '-t', '10']);
  return { port, log: () => server.stderr };
}

async function tlsOptions(place: Place, data: string): Promise<readonly string[]> {
  const { certificate, key } = await selfSign(place, ['127.0.0.1']);
  await place.run(['install', '-o', 'postgres', '-m', '600', key, `${data}/key.pem`]);
  const rules = 'local all all trust\nhostssl all all all scram-sha-256\n';
  await place.run(['install', '-o', 'postgres', place.write('pg_hba.conf', rules), `${data}/pg_hba.conf`]);
  return ['ssl=on', `ssl_cert_file=${certificate}`, `ssl_key_file=${data}/key.pem`];
}

/** Debian keeps a folder of programs for each version. */
function program(name: string): string {
  const versions = '/usr/lib/postgresql';
  const folders = existsSync(versions)
    ? readdirSync(versions).map((version) => `${versions}/${version}/bin`)
    : [];
  return folders.map((folder) => `${folder}/${name}`).find(existsSync) ?? which(name) ?? name;
}
