import t from 'tap';
import { which } from '../lab/paths.ts';
import { Authority, selfSign, type Certificate } from './certificates.ts';
import { listenAt, nginxVersion, page, startNginx } from './nginx.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';

let authority: Authority | undefined;

function served({ certificate, key }: Certificate): string {
  return `ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
}

checkRow({
  service: 'https',
  program: 'nginx',
  version: nginxVersion,
  start: async (place) => {
    const port = await place.freePort();
    place.write('www/page.html', page);
    authority = await Authority.make(place);
    const certificate = served(await authority.sign(['www.example.com']));
    const server = `server { ${listenAt(port, 'ssl')} root ${place.path('www')}; ${certificate} ssl_buffer_size 500; }`;
    await startNginx(place, port, server);
    return port;
  },
  prefix: () => authority?.trusted ?? [],
  good: ['service=https', 'request="page.html"', 'receive="all .* well"'],
  wrong: ['service=https', 'request="page.html"', 'receive="all .* lost"'],
  // the handshake, the headers and a part of the body, which comes in small records
  half: 3000,
  details: {
    up: /^200 OK$/,
    wrong: /^200 OK, but the body does not match "all \.\* lost"$/,
    half: /^200 OK, but the body was cut off$/,
  },
});

const skip = which('nginx') === undefined ? 'nginx is not installed' : false;
void t.test('names and certificates', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const [port, selfSigned] = [await place.freePort(), await place.freePort()];
  const authority = await Authority.make(place);
  const servers = `
    server { ${listenAt(port, 'ssl default_server')} ${served(await authority.sign(['127.0.0.1']))} return 200 "no name"; }
    server { ${listenAt(port, 'ssl')} server_name a.example.com; ${served(await authority.sign(['a.example.com']))}
      return 200 "a, asked for $ssl_server_name"; }
    server { ${listenAt(port, 'ssl')} server_name b.example.com; ${served(await authority.sign(['b.example.com']))}
      return 200 "b, asked for $ssl_server_name"; }
    server { ${listenAt(port, 'ssl')} server_name old.example.com; return 200 old;
      ${served(await authority.sign(['old.example.com'], { days: -1 }))} }
    server { ${listenAt(port, 'ssl')} server_name c.example.com; return 200 "c";
      ${served(await authority.sign(['not-c.example.com']))} }
    server { ${listenAt(selfSigned, 'ssl')} ${served(await selfSign(place, ['localhost']))} return 200 hello; }`;
  await startNginx(place, port, servers);

  const asked = (name: string): string => `virtualhost="${name}.example.com"`;
  const refused = (reason: string, at = port): string => `500 Can't connect to 127.0.0.1:${at} (${reason})`;
  const [up, down] = [true, false];
  const cases: readonly { lines: string[]; up: boolean; detail: string; port?: number }[] = [
    { lines: ['receive="^no name$"'], up, detail: '200 OK' },
    { lines: ['receive="^no name$"', 'tlsverify=full'], up, detail: '200 OK' },
    { lines: [asked('a'), 'receive="^a, asked for a.example.com$"', 'tlsverify=full'], up, detail: '200 OK' },
    { lines: [asked('b'), 'receive="^b, asked for b.example.com$"', 'tlsverify=full'], up, detail: '200 OK' },
    { lines: [asked('c'), 'receive="^c$"'], up, detail: '200 OK' },
    { lines: [asked('c'), 'tlsverify=full'], up: down, detail: refused('hostname verification failed') },
    { lines: [asked('old')], up: down, detail: refused('certificate verify failed') },
    { lines: [asked('old'), 'tlsverify=none'], up, detail: '200 OK' },
    {
      lines: [],
      up: down,
      detail: refused('certificate verify failed', selfSigned),
      port: selfSigned,
    },
    { lines: ['tlsverify=none', 'receive="^hello$"'], up, detail: '200 OK', port: selfSigned },
  ];
  const sections = cases.map(({ lines, port: other = port }) => ({
    address: '127.0.0.1',
    port: other,
    lines: ['service=https', ...lines],
  }));
  const { found, output } = await probe(place, sections, { prefix: authority.trusted });
  for (const [i, { lines, up, detail }] of cases.entries())
    t.match(found[i], { up, detail }, lines.join(' '));
  if (!t.passing()) t.comment(output);

  const strangers = await probe(place, sections.slice(0, 3));
  const failed = { up: false, detail: refused('certificate verify failed') };
  t.match(strangers.found, [failed, failed, failed], 'an authority that nobody believes');
});
