import t from 'tap';
import { which } from '../lab/paths.ts';
import { nameServerVersion, startNameServer } from './name-server.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';

const common = {
  program: 'named',
  version: nameServerVersion,
  start: startNameServer,
  good: ['service=dns', 'request="www.lab.example"', 'receive="192\\.0\\.2\\.(76|77)"'],
  wrong: ['service=dns', 'request="www.lab.example"', 'receive="192.0.2.78"'],
};
const up = /^192\.0\.2\.77$/;
const wrong = /^192\.0\.2\.77, 2001:db8::77 does not match "192\.0\.2\.78"$/;

checkRow({
  ...common,
  service: 'dns',
  protocol: 'udp',
  half: 40,
  details: { up, wrong, half: /^timed out after 2 s, ignored: a malformed answer$/ },
});

checkRow({
  ...common,
  service: 'dns over tcp',
  protocol: 'tcp',
  half: 20,
  details: { up, wrong, half: /^closed the connection in the middle of its answer$/ },
});

const questions: readonly [
  what: string,
  request: string,
  receive: string | undefined,
  up: boolean,
  detail: RegExp,
][] = [
  ['without receive', 'www.lab.example', undefined, true, /^192\.0\.2\.77$/],
  ['an IPv6 address is as good', 'six.lab.example', '2001:db8::6$', true, /^2001:db8::6$/],
  ['an alias', 'alias.lab.example', '192.0.2.77', true, /^192\.0\.2\.77$/],
  ['the name of an address', '192.0.2.77', '^www.lab.example$', true, /^www\.lab\.example$/],
  ['the name of an IPv6 address', '2001:DB8::77', 'www', true, /^www\.lab\.example$/],
  ['more than a datagram holds', 'many.lab.example', '192.0.2.60$', true, /^192\.0\.2\.\d+, .* and 52 more$/],
  ['a name with a dot at its end', 'www.lab.example.', '77', true, /^192\.0\.2\.77$/],
  ['no such name', 'nobody.lab.example', '77', false, /^NXDOMAIN for nobody\.lab\.example$/],
  [
    'no such name, without receive',
    'nobody.lab.example',
    undefined,
    false,
    /^NXDOMAIN for nobody\.lab\.example$/,
  ],
  [
    'a name without addresses',
    'mail.lab.example',
    undefined,
    false,
    /^no AAAA record of mail\.lab\.example$/,
  ],
  ['a zone that is not served', 'www.example.org', '77', false, /^REFUSED for www\.example\.org$/],
  ['a zone that is broken', 'www.broken.example', '77', false, /^SERVFAIL for www\.broken\.example$/],
  ['an address without a name', '192.0.2.1', undefined, false, /^NXDOMAIN for 1\.2\.0\.192\.in-addr\.arpa$/],
];

const skip = which('named') === undefined ? 'named is not installed' : false;
for (const protocol of ['udp', 'tcp'] as const) {
  void t.test(`dns over ${protocol}: what may be asked`, { skip }, async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const port = await startNameServer(place);
    const sections = questions.map(([, request, receive]) => ({
      address: '127.0.0.1',
      port,
      lines: [
        'service=dns',
        `request="${request}"`,
        ...(receive === undefined ? [] : [`receive="${receive}"`]),
      ],
    }));
    const { found, output } = await probe(place, sections, { protocol });
    questions.forEach(([what, , , up, detail], i) => {
      t.equal(found[i]?.up, up, `${what}: ${up ? 'up' : 'down'}`);
      t.match(found[i]?.detail, detail, `${what}: why`);
    });
    if (!t.passing()) t.comment(output);
  });
}
