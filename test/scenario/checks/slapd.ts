/** A real OpenLDAP server with one person in it. */
import { which } from '../lab/paths.ts';
import { selfSign } from './certificates.ts';
import type { Place } from './place.ts';

/** What `login`, `passwd` and `request` are for it. */
export const manager = 'cn=manager,dc=example,dc=com';
export const person = 'cn=joe,dc=example,dc=com';

export async function slapdVersion(place: Place): Promise<string> {
  const { stdout, stderr } = await place.run([which('slapd') ?? '', '-VV']);
  return `OpenLDAP slapd ${/slapd ([\d.]+)/.exec(stdout + stderr)?.[1] ?? '?'}`;
}

export interface Slapd {
  /** Ports. */
  readonly ldap: number;
  readonly ldaps: number;
  /** Path of its certificate. */
  readonly certificate: string;
}

/** Takes both kinds of connections on 127.0.0.1 and ::1, with a certificate that it signed itself. */
export async function startSlapd(place: Place): Promise<Slapd> {
  const [ldap, ldaps] = [await place.freePort(), await place.freePort()];
  const { certificate, key } = await selfSign(place, ['127.0.0.1', '::1']);
  const { directory } = place;
  place.write('data/.keep', '');
  const file = place.write(
    'slapd.conf',
    `include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_ldif
pidfile ${directory}/pid
TLSCertificateFile ${certificate}
TLSCertificateKeyFile ${key}
access to dn.exact="cn=hidden,dc=example,dc=com" by * none
access to * by * read
database ldif
directory ${directory}/data
suffix dc=example,dc=com
rootdn ${manager}
rootpw secret
`,
  );
  const entries = place.write(
    'entries.ldif',
    `dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ${person}
objectClass: person
cn: joe
sn: doe

dn: cn=elsewhere,dc=example,dc=com
objectClass: referral
objectClass: extensibleObject
cn: elsewhere
ref: ldap://other.example.com/
`,
  );
  const added = await place.run([which('slapadd') ?? '', '-f', file, '-l', entries]);
  if (added.code !== 0) throw new Error(added.stderr);
  const urls = [`ldap://127.0.0.1:${ldap}`, `ldap://[::1]:${ldap}`, `ldaps://127.0.0.1:${ldaps}`];
  await place.serve(
    [which('slapd') ?? '', '-d', '0', '-f', file, '-h', [...urls, `ldaps://[::1]:${ldaps}`].join(' ')],
    ldap,
  );
  return { ldap, ldaps, certificate };
}
