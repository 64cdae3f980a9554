import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { listenAt, nginxVersion, startNginx } from './nginx.ts';
import type { Place } from './place.ts';
import { checkRow } from './row.ts';

const why = 'the answer is not looked at';
const held: Socket[] = [];
t.teardown(() => {
  for (const socket of held) socket.destroy();
});

/** Its queue of connections is full and nobody takes any: further ones are not answered, as with a host that hangs. */
async function startHanging(place: Place): Promise<number> {
  const port = await place.freePort();
  const server = `server { listen 127.0.0.1:${port} backlog=1; return 200; }`;
  const program = await startNginx(place, port, server, 'hanging');
  program.kill('SIGSTOP');
  while (await connects(port));
  return port;
}

/** @returns false once a connection is not taken within a quarter of a second */
async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  // the end of the server is the end of these
  held.push(socket.on('error', () => socket.destroy()));
  const connected = once(socket, 'connect').then(() => true);
  return Promise.race([connected, pause(250, false)]);
}

checkRow({
  service: 'connect',
  program: 'nginx',
  version: nginxVersion,
  start: async (place) => {
    const good = await place.freePort();
    await startNginx(place, good, `server { ${listenAt(good)} return 500; }`);
    return { good, silent: await startHanging(place) };
  },
  good: ['checktype=connect'],
  wrong: ['checktype=connect'],
  notApplicable: { wrong: why, slow: why, half: why },
  details: { up: /^connected$/ },
});
