/** Dovecot on the loopback interface: IMAP and POP3, plain and over TLS, and a user with a difficult name for every kind of password. */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { which } from '../lab/paths.ts';
import { Authority, selfSign, type Certificate } from './certificates.ts';
import { Place } from './place.ts';
import { probe } from './row.ts';

export const passwords = {
  joe: 'simple',
  ann: 'two words',
  zoë: 'pässwörd',
  eve: `it's "quoted" \\ not`,
} as const;

export interface Dovecot {
  readonly imap: number;
  readonly imaps: number;
  readonly pop: number;
  readonly pops: number;
  readonly log: () => string;
}

export interface DovecotOptions {
  /** Default: no TLS. */
  readonly certificate?: Certificate;
  /** Certificates for those who ask for a name. */
  readonly named?: Readonly<Record<string, Certificate>>;
  /** Default: plain. */
  readonly mechanisms?: string;
}

export async function startDovecot(place: Place, options: DovecotOptions = {}): Promise<Dovecot> {
  const { directory } = place;
  const ports = {
    imap: await place.freePort(),
    imaps: await place.freePort(),
    pop: await place.freePort(),
    pops: await place.freePort(),
  };
  const users = Object.entries(passwords).map(([name, password]) => `${name}:{PLAIN}${password}\n`);
  place.write('users', users.join(''));
  mkdirSync(join(directory, 'mail'), { recursive: true });
  chmodSync(join(directory, 'mail'), 0o777);
  const file = place.write('dovecot.conf', configuration(directory, ports, options));
  await place.serve([which('dovecot') ?? '', '-F', '-c', file], ports.imap);
  return { ...ports, log: () => readFileSync(join(directory, 'log'), 'utf8') };
}

function configuration(
  directory: string,
  ports: Pick<Dovecot, 'imap' | 'imaps' | 'pop' | 'pops'>,
  { certificate, named = {}, mechanisms = 'plain' }: DovecotOptions,
): string {
  const pem = (of: Certificate) => `ssl_cert = <${of.certificate}\nssl_key = <${of.key}\n`;
  const names = Object.entries(named).map(([name, of]) => `local_name ${name} {\n${pem(of)}}\n`);
  const listener = (name: string, port: number) => `  inet_listener ${name} {\n    port = ${port}\n  }\n`;
  return `base_dir = ${directory}/run
state_dir = ${directory}/run
log_path = ${directory}/log
protocols = imap pop3
listen = 127.0.0.1, ::1
first_valid_uid = 1
auth_mechanisms = ${mechanisms}
# everything a login may hold
auth_username_chars =
auth_failure_delay = 0
mail_location = maildir:${directory}/mail/%u
passdb {
  driver = passwd-file
  args = username_format=%u ${directory}/users
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${directory}/mail/%u
}
service imap-login {
${listener('imap', ports.imap)}${listener('imaps', certificate ? ports.imaps : 0)}}
service pop3-login {
${listener('pop3', ports.pop)}${listener('pop3s', certificate ? ports.pops : 0)}}
${certificate ? `ssl = yes\n${pem(certificate)}` : 'ssl = no\n'}${names.join('')}`;
}

export async function dovecotVersion(place: Place): Promise<string> {
  const { stdout } = await place.run([which('dovecot') ?? '', '--version']);
  return `dovecot ${stdout.split(' ')[0]?.trim() ?? ''}`;
}

/** Every service over TLS: what is believed of a certificate, by what name, and how it is told that there is no TLS. */
export function checkCertificates(service: 'imaps' | 'pops', plain: 'imap' | 'pop'): void {
  const skip = which('dovecot') === undefined ? 'dovecot is not installed' : false;
  void t.test(`${service}: certificates`, { skip }, async (t) => {
    const place = new Place();
    t.teardown(() => place.close());
    const authority = await Authority.make(place);
    const dovecot = await startDovecot(place, {
      certificate: await authority.sign(['127.0.0.1']),
      named: {
        'mail.example.com': await authority.sign(['mail.example.com']),
        'foreign.example.com': await authority.sign(['other.example.com']),
        'expired.example.com': await authority.sign(['expired.example.com'], { days: -1 }),
        'own.example.com': await selfSign(place, ['own.example.com']),
      },
    });
    const { joe } = passwords;
    const section = (lines: readonly string[], address = '127.0.0.1', port = dovecot[service]) => ({
      address,
      port,
      lines: [`service=${service}`, 'login="joe"', `passwd="${joe}"`, ...lines],
    });
    const at = (name: string, tlsverify = 'full') =>
      section([`virtualhost="${name}.example.com"`, `tlsverify=${tlsverify}`]);
    const up = /Logged in/;
    const selfSigned = /^certificate verify failed: self.signed certificate$/;
    const cases = [
      ['the address of the real server', section([]), up],
      ['another address', section([], '[::1]'), /^hostname verification failed: IP: ::1 is not in the cert/],
      ['another address, but the name does not matter', section(['tlsverify=chain'], '[::1]'), up],
      ['the virtual host', at('mail'), up],
      [
        'another name',
        at('foreign'),
        /^hostname verification failed: Host: foreign\.example\.com\. is not in the cert/,
      ],
      ['another name, but it does not matter', at('foreign', 'chain'), up],
      ['expired', at('expired'), /^certificate verify failed: certificate has expired$/],
      ['expired, chain only', at('expired', 'chain'), /^certificate verify failed: certificate has expired$/],
      ['expired, unverified', at('expired', 'none'), up],
      ['self-signed', at('own'), selfSigned],
      ['self-signed, chain only', at('own', 'chain'), selfSigned],
      ['self-signed, unverified', at('own', 'none'), up],
      ['no TLS', section([], '127.0.0.1', dovecot[plain]), /^TLS failed: wrong version number$/],
    ] as const;
    const { found, output } = await probe(
      place,
      cases.map(([, section]) => section),
      { prefix: authority.trusted, deadline: 5 },
    );
    for (const [i, [name, , detail]] of cases.entries()) {
      t.equal(found[i]?.up, detail === up, `${name}: ${detail === up ? 'up' : 'down'}`);
      t.match(found[i]?.detail, detail, `${name}: why`);
    }
    const strangers = await probe(place, [section([])]);
    t.match(
      strangers.found[0],
      { up: false, detail: /^certificate verify failed: / },
      'an authority that is not believed',
    );
    if (!t.passing()) t.comment(output);
  });
}
