import { waitFor } from '../../support/until.ts';
import { which } from '../lab/paths.ts';
import { checkRow } from './row.ts';

checkRow({
  service: 'simpletcp',
  program: 'redis-server',
  version: async (place) => {
    const { stdout } = await place.run([which('redis-server') ?? '', '--version']);
    return /v=(\S+)/.exec(stdout)?.[0].replace('v=', 'redis ') ?? '';
  },
  start: async (place) => {
    const port = await place.freePort();
    const options = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '::1',
      '--dir',
      place.directory,
      '--save',
      '',
    ];
    await place.serve([which('redis-server') ?? '', ...options], port);
    return port;
  },
  good: ['service=simpletcp', String.raw`request="ECHO all-is-well\nINFO\n"`, 'receive="all-.*-well"'],
  wrong: ['service=simpletcp', String.raw`request="PING\n"`, 'receive="PANG"'],
  // in the middle of "$11\r\nall-is-well\r\n"
  half: 8,
  details: {
    up: /^all-is-well$/,
    wrong: /^no line of the answer matches "PANG"$/,
    half: /^no line of the answer matches "all-\.\*-well"$/,
  },
});

checkRow({
  service: 'simpletcp',
  protocol: 'udp',
  program: 'socat',
  version: async (place) => {
    const { stdout } = await place.run([which('socat') ?? '', '-V']);
    return /socat version (\S+)/.exec(stdout)?.[0].replace('version ', '') ?? '';
  },
  start: async (place) => {
    const port = await place.freePort();
    // says what it hears
    place.start([which('socat') ?? '', `UDP6-RECVFROM:${port},ipv6only=0,fork`, 'PIPE']);
    const ask = `exec 3<>/dev/udp/127.0.0.1/${port} && echo hello >&3 && read -n 1 -t 1 <&3`;
    await waitFor('an echo', 10, async () => (await place.run(['bash', '-c', ask])).code === 0);
    return port;
  },
  good: ['service=simpletcp', String.raw`request="all is\nwell"`, 'receive="^well$"'],
  wrong: ['service=simpletcp', String.raw`request="all is\nwell"`, 'receive="lost"'],
  half: 9,
  // an answer that does not match may be followed by one that does
  details: { up: /^well$/, wrong: /^timed out after 2 s$/, half: /^timed out after 2 s$/ },
});
