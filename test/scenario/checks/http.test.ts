import { which } from '../lab/paths.ts';
import type { Place } from './place.ts';
import { checkRow } from './row.ts';

const common = {
  program: 'nginx',
  version: async (place: Place) =>
    (await place.run([which('nginx') ?? '', '-v'])).stderr.trim().replace(/.*nginx\//, 'nginx '),
};

async function start(place: Place): Promise<number> {
  const port = await place.freePort();
  place.write('www/page.html', 'all is well\n');
  const file = place.write(
    'nginx.conf',
    `daemon off;
master_process off;
pid ${place.directory}/pid;
error_log ${place.directory}/log;
events {}
http {
  access_log off;
  client_body_temp_path ${place.directory}/body;
  proxy_temp_path ${place.directory}/proxy;
  fastcgi_temp_path ${place.directory}/fastcgi;
  uwsgi_temp_path ${place.directory}/uwsgi;
  scgi_temp_path ${place.directory}/scgi;
  server { listen 127.0.0.1:${port}; listen [::1]:${port}; root ${place.directory}/www; }
}
`,
  );
  await place.serve([which('nginx') ?? '', '-c', file, '-e', `${place.directory}/log`], port);
  return port;
}

checkRow({
  ...common,
  service: 'http',
  start,
  good: ['service=http', 'request="page.html"', 'receive="all .* well"'],
  wrong: ['service=http', 'request="page.html"', 'receive="all .* lost"'],
  half: 100,
  details: {
    up: /^200 OK$/,
    wrong: /^200 OK, but the body does not match "all \.\* lost"$/,
    half: /closed|aborted|hang up/i,
  },
});
