import t from 'tap';
import { which } from '../lab/paths.ts';
import { Place } from './place.ts';
import { probeOne } from './probe.ts';
import { checkRow } from './row.ts';
import { manager, person, slapdVersion, startSlapd } from './slapd.ts';

const login = [`login="${manager}"`, 'passwd="secret"'];
const lookup = [`request="${person}"`, 'receive="^cn=joe,"'];
const mismatch = [`request="${person}"`, 'receive="^cn=jim,"'];

checkRow({
  service: 'ldap',
  program: 'slapd',
  version: slapdVersion,
  start: async (place) => (await startSlapd(place)).ldap,
  good: ['service=ldap', ...login, ...lookup],
  wrong: ['service=ldap', ...login, ...mismatch],
  half: 20,
  details: {
    up: /^Success: cn=joe,dc=example,dc=com$/,
    wrong: /^Response mismatch: "cn=joe,dc=example,dc=com" does not match "\^cn=jim,"$/,
    refused: /^Connection failed: Connection refused$/,
    half: /^No answer received: closed the connection$/,
  },
});

checkRow({
  service: 'ldaps',
  program: 'slapd',
  version: slapdVersion,
  start: async (place) => (await startSlapd(place)).ldaps,
  good: ['service=ldaps', ...lookup],
  wrong: ['service=ldaps', ...mismatch],
  half: 200,
  details: {
    up: /^Success: cn=joe,dc=example,dc=com$/,
    wrong: /^Response mismatch: "cn=joe,dc=example,dc=com" does not match "\^cn=jim,"$/,
    refused: /^Connection failed: Connection refused$/,
    half: /^Connection failed: .*disconnected before secure TLS/,
  },
});

const skip = which('slapd') === undefined ? 'slapd is not installed' : false;

void t.test('what slapd says is said', { skip, timeout: 120_000 }, async (t) => {
  const place = new Place();
  t.teardown(() => place.close());
  const { ldap, ldaps, certificate } = await startSlapd(place);
  const asked = (lines: readonly string[]) => probeOne(place, ldap, ['service=ldap', ...lines]);

  const badPassword = await asked([`login="${manager}"`, 'passwd="other"', ...lookup]);
  t.match(badPassword, { up: false, detail: 'Bind failed: invalidCredentials' }, 'a wrong password');
  t.notMatch(badPassword.said, 'other', 'and that password is nowhere');
  t.match(await asked(['login="no name"', 'passwd="x"', ...lookup]), {
    up: false,
    detail: 'Bind failed: invalidDNSyntax: invalid DN',
  });
  t.match(await asked(['request="cn=nobody,dc=example,dc=com"']), {
    up: false,
    detail: 'No answer received: noSuchObject',
  });
  t.match(await asked(['request="cn=elsewhere,dc=example,dc=com"']), {
    up: false,
    detail: 'No answer received: referral to ldap://other.example.com/cn=elsewhere,dc=example,dc=com',
  });
  t.match(await asked([]), { up: true, detail: /^Success$/ }, 'no request: the root of the tree');

  const verify = (what: string, env: readonly string[] = []) =>
    probeOne(place, ldaps, ['service=ldaps', ...lookup, `tlsverify=${what}`], env);
  const trusted = [`SSL_CERT_FILE=${certificate}`];
  const unverified = {
    up: false,
    detail: /^Connection failed: certificate verify failed: self.signed certificate$/,
  };
  t.match(await verify('none'), { up: true });
  t.match(await verify('chain'), unverified);
  t.match(await verify('full'), unverified);
  t.match(await verify('chain', trusted), { up: true });
  t.match(await verify('full', trusted), { up: true });
});
