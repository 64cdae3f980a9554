import t from 'tap';
import { which } from '../lab/paths.ts';
import { listenAt, nginxVersion, page, startNginx } from './nginx.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';

checkRow({
  service: 'http',
  program: 'nginx',
  version: nginxVersion,
  start: async (place) => {
    const port = await place.freePort();
    place.write('www/page.html', page);
    await startNginx(place, port, `server { ${listenAt(port)} root ${place.path('www')}; }`);
    return port;
  },
  good: ['service=http', 'request="page.html"', 'receive="all .* well"'],
  wrong: ['service=http', 'request="page.html"', 'receive="all .* lost"'],
  // the headers and a part of the body, with the text that is looked for
  half: 1000,
  details: {
    up: /^200 OK$/,
    wrong: /^200 OK, but the body does not match "all \.\* lost"$/,
    half: /^200 OK, but the body was cut off$/,
  },
});

const skip = which('nginx') === undefined ? 'nginx is not installed' : false;
void t.test('what a web server may say', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const port = await place.freePort();
  place.write('www/page.html', page);
  // each tells the host that it was asked for
  const servers = `server {
    ${listenAt(port, 'default_server')}
    root ${place.path('www')};
    location = /host { return 200 "default $http_host"; }
    location = /moved { return 302 /host; }
    location = /loop { return 301 /loop; }
    location = /away { return 302 http://www.example.com:${port}/host; }
    location = /method { return 200 $request_method; }
    location = /broken { return 503; }
  }
  server { ${listenAt(port)} server_name www.example.com; return 200 "ours $http_host $uri"; }`;
  await startNginx(place, port, servers);
  const nobody = await place.freePort();
  const ours = 'virtualhost="www.example.com"';
  const [up, down] = [true, false];
  const cases: readonly { lines: string[]; up: boolean; detail: RegExp; at?: string; port?: number }[] = [
    { lines: ['request="host"', 'receive="^default 127.0.0.1$"'], up, detail: /^200 OK$/ },
    { lines: ['request="host"', 'receive="^default \\[::1\\]$"'], up, detail: /^200 OK$/, at: '[::1]' },
    { lines: ['request="/a/b?c"', ours, 'receive="^ours www.example.com /a/b$"'], up, detail: /^200 OK$/ },
    { lines: ['request="moved"', `receive="^default 127.0.0.1:${port}$"`], up, detail: /^200 OK$/ },
    { lines: ['request="loop"'], up: down, detail: /^301 Moved Permanently$/ },
    { lines: ['request="broken"'], up: down, detail: /^503 Service Temporarily Unavailable$/ },
    { lines: ['request="nothing"', ours, 'receive="^default"'], up: down, detail: /does not match/ },
    { lines: ['request="nothing"'], up: down, detail: /^404 Not Found$/ },
    { lines: ['request="method"', 'receive="^GET$"'], up, detail: /^200 OK$/ },
    { lines: ['request="page.html"', 'httpmethod=HEAD', 'receive="no body"'], up, detail: /^200 OK$/ },
    { lines: ['request="page.html"', `checkport=${port}`], up, detail: /^200 OK$/, port: nobody },
    { lines: ['request="page.html"', `checkport=${nobody}`], up: down, detail: /Connection refused/ },
  ];
  const sections = cases.map(({ lines, at = '127.0.0.1', port: other = port }) => ({
    address: at,
    port: other,
    lines: ['service=http', ...lines],
  }));
  const { found, output } = await probe(place, sections);
  for (const [i, { lines, up, detail }] of cases.entries())
    t.match(found[i], { up, detail }, lines.join(' '));
  if (!t.passing()) t.comment(output);
});

void t.test('each real server may have a question of its own', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const port = await place.freePort();
  await startNginx(
    place,
    port,
    `server { ${listenAt(port)} location / { return 200 "this is $uri"; } location /broken { return 500; } }`,
  );
  const real = `127.0.0.1:${port} masq`;
  const reals = [
    `${real} 1 "one", "is /one"`,
    `${real} 2 "two", "is /one"`,
    `${real} 3 "/broken", "is"`,
    `${real} 4`,
  ];
  const lines = ['service=http', 'request="any"', 'receive="is /any"', ...reals.map((one) => `real=${one}`)];
  const { found, output } = await probe(place, [{ address: '127.0.0.1', port, lines }]);
  t.match(found, [{ up: true }, { up: true }, { up: false }, { up: false }, { up: true }]);
  t.match(found[2], { detail: '200 OK, but the body does not match "is /one"' });
  t.match(found[3], { detail: '500 Internal Server Error' });
  if (!t.passing()) t.comment(output);
});
