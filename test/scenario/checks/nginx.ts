/** An nginx of its own in one process, so that its pid is all there is to end. */
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';
import type { Program } from '../lab/program.ts';

export async function nginxVersion(place: Place): Promise<string> {
  const { stderr } = await place.run([which('nginx') ?? '', '-v']);
  return stderr.trim().replace(/.*nginx\//, 'nginx ');
}

/**
 * @param servers its `server { ... }` blocks, one of which listens on the port of 127.0.0.1
 * @param name where the place has several
 */
export async function startNginx(
  place: Place,
  port: number,
  servers: string,
  name = 'nginx',
): Promise<Program> {
  const log = place.path(`${name}.log`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${place.path(`${name}-${kind}`)};`,
  );
  const file = place.write(
    `${name}.conf`,
    `daemon off;
master_process off;
pid ${place.path(`${name}.pid`)};
error_log ${log};
events {}
http {
  access_log off;
${temporary.join('\n')}
${servers}
}
`,
  );
  return place.serve([which('nginx') ?? '', '-c', file, '-e', log], port);
}

/** Both addresses at which a server of a row is asked. */
export function listenAt(port: number, options = ''): string {
  return `listen 127.0.0.1:${port} ${options}; listen [::1]:${port} ${options};`;
}

/** Longer than any headers, so that a server may be cut off in the middle of it. */
export const page = `all is well\n${'and so on\n'.repeat(200)}`;
