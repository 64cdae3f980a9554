/** nginx's stream module as a peer, TCP and UDP. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab } from '../test/scenario/lab.ts';
import { ports, type Peer } from './peer.ts';
import type { PeerOptions } from './peers.ts';

const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const hasStreamModule = existsSync(streamModule);

export async function startNginx(options: PeerOptions): Promise<Peer> {
  const lab = await Lab.open('namespaces', options);
  const connections = Math.min(40_000, lab.openFiles - 200);
  const file = join(lab.directory, 'stream.conf');
  const log = join(lab.directory, 'stream.log');
  const servers = (port: number) => lab.servers.map(({ address }) => `server ${address}:${port};`).join(' ');
  const first = lab.servers[0]?.address ?? '';
  writeFileSync(
    file,
    `load_module ${streamModule};
daemon off;
worker_processes auto;
user root;
pid ${lab.directory}/stream.pid;
error_log ${log} error;
events { worker_connections ${connections}; }
stream {
  proxy_timeout 1h;
  upstream web { ${servers(ports.web)} }
  upstream sink { ${servers(ports.sink)} }
  server { listen ${lab.vip}:${ports.web}; proxy_pass web; }
  server { listen ${lab.vip}:${ports.bulk}; proxy_pass ${first}:${ports.bulk}; }
  server { listen ${lab.vip}:${ports.sink} udp reuseport; proxy_pass sink; }
  server { listen ${lab.vip}:${ports.echo} udp reuseport; proxy_pass ${first}:${ports.echo}; }
}
`,
  );
  const program = lab.director.start(['nginx', '-e', log, '-c', file]);
  const version = (await lab.director.run(['nginx', '-v'])).stderr.trim();
  return { name: 'nginx stream', version, lab, program, ours: false, address: lab.vip };
}
