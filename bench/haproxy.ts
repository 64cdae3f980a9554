/** HAProxy in tcp mode as a peer. It has no UDP. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab } from '../test/scenario/lab.ts';
import { ports, type Peer } from './peer.ts';
import type { PeerOptions } from './peers.ts';

export async function startHaproxy(options: PeerOptions): Promise<Peer> {
  const lab = await Lab.open('namespaces', options);
  const connections = Math.min(20_000, Math.floor((lab.openFiles - 700) / 2));
  const file = join(lab.directory, 'haproxy.cfg');
  const server = (name: string, endpoint: string) => `  server ${name} ${endpoint}\n`;
  writeFileSync(
    file,
    `global
  maxconn ${connections}
  maxpipes 200
defaults
  mode tcp
  balance roundrobin
  option splice-auto
  maxconn ${connections}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen web
  bind ${lab.vip}:${ports.web}
${lab.servers.map(({ name, endpoint }) => server(name, endpoint)).join('')}listen bulk
  bind ${lab.vip}:${ports.bulk}
${server('rs1', `${lab.servers[0]?.address ?? ''}:${ports.bulk}`)}`,
  );
  const program = lab.director.start(['haproxy', '-db', '-f', file]);
  const version = (await lab.director.run(['haproxy', '-v'])).stdout.split(' - ')[0] ?? '';
  return { name: 'haproxy', version, lab, program, ours: false, address: lab.vip };
}
