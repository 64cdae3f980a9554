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
  up: /^\+OK Logged in\.$/,
  wrong: /^authentication failed: -ERR \[AUTH\] Authentication failed\.$/,
};

checkRow({
  service: 'pop',
  program: 'dovecot',
  version: dovecotVersion,
  start: async (place) => (await startDovecot(place)).pop,
  good: login('pop', passwords.joe),
  wrong: login('pop', 'wrong'),
  half: 15,
  details: { ...details, half: /^closed the connection in the middle of "\+OK Dovecot/ },
});

let authority: Authority;
checkRow({
  service: 'pops',
  program: 'dovecot',
  version: dovecotVersion,
  async start(place) {
    authority = await Authority.make(place);
    const certificate = await authority.sign(['127.0.0.1', '::1']);
    return (await startDovecot(place, { certificate })).pops;
  },
  prefix: () => authority.trusted,
  good: login('pops', passwords.joe),
  wrong: login('pops', 'wrong'),
  half: 500,
  details: { ...details, half: /disconnected before secure TLS connection was established/ },
});

checkCertificates('pops', 'pop');

const skip = which('dovecot') === undefined ? 'dovecot is not installed' : false;

for (const [mechanisms, method] of [
  ['plain', 'PLAIN'],
  ['apop', 'APOP'],
  ['cram-md5', 'CRAM-MD5'],
] as const) {
  void t.test(`pop: logins at a server that takes ${method}`, { skip }, async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const { pop: port, log } = await startDovecot(place, { mechanisms });
    const users = Object.entries(passwords);
    const sections = users.map(([name, password]) => ({
      address: '127.0.0.1',
      port,
      lines: ['service=pop', `login="${name}"`, `passwd="${password}"`],
    }));
    const anonymous = { address: '127.0.0.1', port, lines: ['service=pop'] };
    const { found, output } = await probe(place, [anonymous, ...sections]);
    t.match(
      found[0],
      { up: true, detail: /^\+OK Dovecot .*ready\./ },
      'without a login the greeting is enough',
    );
    for (const [i, [name]] of users.entries()) {
      t.match(found[i + 1], { up: true, detail: '+OK Logged in.' }, `the password of ${name}`);
      t.match(log(), new RegExp(`user=<${name}>, method=${method}`));
    }
    if (!t.passing()) t.comment(`${output}${log()}`);
    t.equal(log().match(/Disconnected: Logged out/g)?.length, users.length, 'every session ends politely');
  });
}
