import { which } from '../lab/paths.ts';
import { listenAt, page, startNginx } from './nginx.ts';
import { checkRow } from './row.ts';
import { startSquid } from './squid.ts';

let origin = 0;

checkRow({
  service: 'http_proxy',
  program: 'squid',
  version: async (place) => {
    const { stdout } = await place.run([which('squid') ?? '', '-v']);
    return /Version (\S+)/.exec(stdout)?.[0].replace('Version', 'squid') ?? '';
  },
  start: async (place) => {
    origin = await place.freePort();
    place.write('www/page.html', page);
    await startNginx(place, origin, `server { ${listenAt(origin)} root ${place.path('www')}; }`);
    return startSquid(place);
  },
  get good() {
    return ['service=http_proxy', `request="http://localhost:${origin}/page.html"`, 'receive="all .* well"'];
  },
  get wrong() {
    return ['service=http_proxy', `request="http://forbidden.example.com:${origin}/page.html"`];
  },
  half: 1000,
  details: {
    up: /^200 OK$/,
    wrong: /^403 Forbidden$/,
    half: /^200 OK, but the body was cut off$/,
  },
});
