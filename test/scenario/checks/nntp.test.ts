/**
 * Leafnode speaks on stdin and stdout, for one reader at a time; here somebody listens for it. Its folders are fixed when it is compiled,
 * so each one gets our configuration and spool in a mount namespace of its own.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';
import { checkRow } from './row.ts';

const servers: Server[] = [];
t.teardown(() => {
  for (const server of servers) server.close();
});

const folders = [
  'failed.postings',
  'interesting.groups',
  'leaf.node',
  'message.id',
  'out.going',
  'temp.files',
];

/** @returns the command for one reader */
async function leafnode(place: Place, name: string, hostname: string): Promise<readonly string[]> {
  const own = join(place.directory, name);
  place.write(`${name}/etc/config`, `server = upstream.example.com\nexpire = 20\nhostname = ${hostname}\n`);
  for (const folder of folders) mkdirSync(join(own, 'spool', folder), { recursive: true });
  await place.run(['chown', '-R', 'news:news', own]);
  chmodSync(join(own, 'etc/config'), 0o640);
  const script = `mount --bind ${own}/etc /etc/news/leafnode
mount --bind ${own}/spool /var/spool/news
exec setpriv --reuid=news --regid=news --clear-groups ${which('leafnode') ?? ''}`;
  return ['unshare', '--mount', 'bash', '-ec', script];
}

async function serve([command = '', ...options]: readonly string[]): Promise<number> {
  const listen = (port: number, host: string) => {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      const reader = spawn(command, options, { stdio: [socket, socket, 'ignore'] });
      // it has the connection now, and ends with it
      reader.on('spawn', () => socket.destroy());
    });
    servers.push(server);
    return new Promise<number>((resolve, reject) => {
      server.once('error', reject).listen(port, host, () => {
        resolve((server.address() as AddressInfo).port);
      });
    });
  };
  return listen(await listen(0, '127.0.0.1'), '::1');
}

checkRow({
  service: 'nntp',
  program: 'leafnode',
  version: async (place) =>
    (await place.run(['leafnode-version'])).stdout.trim().replace('version: leafnode-', 'leafnode '),
  start: async (place) => ({
    good: await serve(await leafnode(place, 'good', 'news.directord.net')),
    // a name that cannot be unique, so it takes no readers
    wrong: await serve(await leafnode(place, 'wrong', 'localhost.localdomain')),
  }),
  good: ['service=nntp'],
  wrong: ['service=nntp'],
  half: 20,
  details: {
    up: /^200 Leafnode NNTP Daemon, version .* \(my fqdn: news\.directord\.net\)$/,
    wrong: /^503 Leafnode must have a unique fully-qualified domain name/,
    half: /^closed the connection in the middle of "200 Leafnode NNTP Da"$/,
  },
});
