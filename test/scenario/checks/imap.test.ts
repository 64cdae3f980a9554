import t from 'tap';
import { which } from '../lab/paths.ts';
import { Authority } from './certificates.ts';
import { checkCertificates, dovecotVersion, passwords, startDovecot } from './dovecot.ts';
import { Place } from './place.ts';
import { checkRow, probe } from './row.ts';

const login = (service: string, password: string) => [
  `service=${service}`,
  'login="joe"',
  `passwd="${password}"`,
];
const details = {
  up: /^OK Logged in$/,
  wrong: /^authentication failed: NO \[AUTHENTICATIONFAILED\] Authentication failed\.$/,
};

checkRow({
  service: 'imap',
  program: 'dovecot',
  version: dovecotVersion,
  start: async (place) => (await startDovecot(place)).imap,
  good: login('imap', passwords.joe),
  wrong: login('imap', 'wrong'),
  half: 30,
  details: { ...details, half: /^closed the connection in the middle of "\* OK \[CAPABILITY/ },
});

let authority: Authority;
checkRow({
  service: 'imaps',
  program: 'dovecot',
  version: dovecotVersion,
  async start(place) {
    authority = await Authority.make(place);
    const certificate = await authority.sign(['127.0.0.1', '::1']);
    return (await startDovecot(place, { certificate })).imaps;
  },
  prefix: () => authority.trusted,
  good: login('imaps', passwords.joe),
  wrong: login('imaps', 'wrong'),
  half: 500,
  details: { ...details, half: /disconnected before secure TLS connection was established/ },
});

checkCertificates('imaps', 'imap');

const skip = which('dovecot') === undefined ? 'dovecot is not installed' : false;

void t.test('imap: logins', { skip }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { imap: port, log } = await startDovecot(place);
  const users = Object.entries(passwords);
  const sections = users.map(([name, password]) => ({
    address: '127.0.0.1',
    port,
    lines: ['service=imap', `login="${name}"`, `passwd="${password}"`],
  }));
  const anonymous = { address: '127.0.0.1', port, lines: ['service=imap'] };
  const { found, output } = await probe(place, [anonymous, ...sections]);
  t.match(found[0], { up: true, detail: /^OK Dovecot .*ready\.$/ }, 'without a login the greeting is enough');
  for (const [i, [name]] of users.entries())
    t.match(found[i + 1], { up: true, detail: 'OK Logged in' }, `the password of ${name}`);
  if (!t.passing()) t.comment(`${output}${log()}`);
  t.equal(log().match(/Disconnected: Logged out/g)?.length, users.length, 'every session ends politely');
  t.notMatch(log(), /expunged=[1-9]/);
});
