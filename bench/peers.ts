/** The programs compared: each in front of the same real servers, on ports of its own at the same address. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor, type Lab, type Program } from '../test/scenario/lab.ts';
import { which } from '../test/scenario/lab/paths.ts';

export interface Peer {
  readonly name: string;
  readonly version: string;
  readonly program: Program;
  /** Port of the web service, over all three real servers. */
  readonly web: number;
  /** Port of the iperf3 service, on the first real server. */
  readonly bulk: number;
}

export const iperfPort = 5201;

/** Starts every peer that is installed; directord is the first. */
export async function startPeers(lab: Lab): Promise<readonly Peer[]> {
  const peers = [await startRelay(lab)];
  const haproxy = which('haproxy');
  if (haproxy !== undefined) peers.push(await startHaproxy(lab, haproxy));
  const nginx = which('nginx');
  if (nginx !== undefined && existsSync(streamModule)) peers.push(await startNginx(lab, nginx));
  for (const { name, web, program } of peers) {
    const url = `http://${lab.vip}:${web}/`;
    await waitFor(
      `${name} to forward`,
      10,
      async () => (await lab.curl(1, url))[0]?.startsWith('rs'),
      () => `${program.stdout}${program.stderr}`,
    );
  }
  return peers;
}

async function startRelay(lab: Lab): Promise<Peer> {
  const [web, bulk] = [80, 5301];
  const program = await lab.startDirectord('--no-monitor', 'start');
  const rules = [
    `-A -t ${lab.vip}:${web} -s rr`,
    ...lab.servers.map(({ endpoint }) => `-a -t ${lab.vip}:${web} -r ${endpoint} -m`),
    `-A -t ${lab.vip}:${bulk} -s rr`,
    `-a -t ${lab.vip}:${bulk} -r ${lab.servers[0]?.address ?? ''}:${iperfPort} -m`,
  ];
  const { code, stderr } = await lab.admInput(`${rules.join('\n')}\n`, '-R');
  if (code !== 0) throw new Error(`directoradm -R: ${stderr}`);
  const version = (await lab.directord('-v')).stdout.split('\n')[0] ?? '';
  return { name: 'directord relay', version, program, web, bulk };
}

async function startHaproxy(lab: Lab, haproxy: string): Promise<Peer> {
  const [web, bulk] = [8081, 5302];
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
  bind ${lab.vip}:${web}
${lab.servers.map(({ name, endpoint }) => server(name, endpoint)).join('')}listen bulk
  bind ${lab.vip}:${bulk}
${server('rs1', `${lab.servers[0]?.address ?? ''}:${iperfPort}`)}`,
  );
  const program = lab.director.start([haproxy, '-db', '-f', file]);
  const version = (await lab.director.run([haproxy, '-v'])).stdout.split(' - ')[0] ?? '';
  return { name: 'haproxy', version, program, web, bulk };
}

const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

async function startNginx(lab: Lab, nginx: string): Promise<Peer> {
  const [web, bulk] = [8082, 5303];
  const connections = Math.min(40_000, lab.openFiles - 200);
  const file = join(lab.directory, 'stream.conf');
  const log = join(lab.directory, 'stream.log');
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
  upstream web { ${lab.servers.map(({ endpoint }) => `server ${endpoint};`).join(' ')} }
  server { listen ${lab.vip}:${web}; proxy_pass web; }
  server { listen ${lab.vip}:${bulk}; proxy_pass ${lab.servers[0]?.address ?? ''}:${iperfPort}; }
}
`,
  );
  const program = lab.director.start([nginx, '-e', log, '-c', file]);
  const version = (await lab.director.run([nginx, '-v'])).stderr.trim();
  return { name: 'nginx stream', version, program, web, bulk };
}
